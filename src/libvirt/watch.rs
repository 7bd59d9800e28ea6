//! Hearing of what happens to the domains: a thread and a connection for
//! libvirt's events alone.
//!
//! Owns the connection's life and the registered callbacks. Once it listens,
//! nothing else is ever asked on that connection; when it breaks, the watch
//! says so and ends. It does not try again and keeps no events.

use std::{io, sync::Arc, sync::mpsc, thread, time::Duration};

use uuid::Uuid;

use super::{
    DomainEvent, Error, EventKind, Settings, error, event_loop,
    ffi::events::{Listener, Subscription},
    session::connect,
};
use crate::clock::Clock;

/// How often it looks whether its connection still stands. libvirt knows that
/// without asking anybody; keepalive tells it.
const LOOK: Duration = Duration::from_secs(1);

/// What a watch tells.
#[derive(Clone, Debug)]
pub enum WatchNews {
    /// It listens from now on.
    Connected {
        /// Kinds of events that this driver does not have.
        refused: Vec<&'static str>,
    },
    /// This driver has no events at all; it ends, and trying again is
    /// pointless for as long as the link lasts.
    NotOffered,
    /// Something happened to a domain. Told on libvirt's event thread.
    Happened(DomainEvent),
    /// Its thread has ended, and with it everything of libvirt's that it held.
    /// The last that is told.
    Ended {
        /// Why; `None`: it was dropped.
        why: Option<Error>,
    },
}

/// A running watch. Dropping it never waits: its thread gives back what it
/// holds and ends, once opening the connection has returned.
#[derive(Debug)]
pub struct Watch {
    /// Its end is the sign to end.
    _held: mpsc::Sender<()>,
}

impl Watch {
    /// Starts the thread, which opens the connection.
    ///
    /// `news` is called on that thread and on libvirt's event thread; it must
    /// return at once.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start(
        settings: Settings,
        clock: Clock,
        news: impl Fn(WatchNews) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        event_loop::ensure()?;
        let (held, dropped) = mpsc::channel();
        let news = Arc::new(news);
        thread::Builder::new().name("libvirt-watch".into()).spawn(move || {
            let why = watch(&settings.uri, clock, &dropped, &news).err();
            news(WatchNews::Ended { why });
        })?;
        Ok(Self { _held: held })
    }
}

/// Listens until the watch is dropped or the connection breaks.
fn watch<N>(uri: &str, clock: Clock, dropped: &mpsc::Receiver<()>, news: &Arc<N>) -> Result<(), Error>
where
    N: Fn(WatchNews) + Send + Sync + 'static,
{
    const WHAT: &str = "listening for events";
    let connection = connect(uri)?;
    let happened = Arc::clone(news);
    let listener: Listener = Arc::new(move |uuid: Uuid, kind: EventKind| {
        happened(WatchNews::Happened(DomainEvent { uuid, at: clock.now(), kind }));
    });
    let (subscription, refused) = Subscription::new(&connection, &listener);
    if let (true, Some((_, error))) = (subscription.is_empty(), refused.first()) {
        if error::is_not_offered(error) {
            news(WatchNews::NotOffered);
            return Ok(());
        }
        return Err(Error::of_call(error, &connection, WHAT, uri));
    }
    news(WatchNews::Connected { refused: refused.into_iter().map(|(kind, _)| kind).collect() });
    loop {
        match dropped.recv_timeout(LOOK) {
            Err(mpsc::RecvTimeoutError::Timeout) if matches!(connection.is_alive(), Ok(true)) => {}
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(Error::of_closed(uri, WHAT)),
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}
