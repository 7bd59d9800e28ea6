//! Takes connections and has their requests answered, within bounds: on how
//! many there are, on how long a request may take to arrive, on how long an
//! answer may wait to be taken.

use std::{io, sync::Arc, time::Duration};

use axum::{Router, middleware};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Api,
    connection::Connection,
    door::{Doors, Encryption},
    guard::{self, Guard},
    page,
    routes::routes,
};

/// Connections at once, all doors together.
pub const MOST_CONNECTIONS: usize = 1200;
/// How long the head of a request may take, and how long a connection may stay
/// without one.
pub const ASKS_WITHIN: Duration = Duration::from_secs(15);
/// Most bytes of a request's head.
const LONGEST_HEAD: usize = 32 * 1024;
/// Most headers of a request.
const MOST_HEADERS: usize = 64;
/// How long an encrypted connection may take to be made.
const GREETS_WITHIN: Duration = Duration::from_secs(10);
/// How long connections have at the end.
const LEAVES_WITHIN: Duration = Duration::from_secs(2);
/// How long it waits when the system gives no more connections.
const PAUSE: Duration = Duration::from_millis(100);

/// What those get who are one too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
    Retry-After: 1\r\nConnection: close\r\nContent-Length: 40\r\n\r\n{\"error\":\"too many connections at once\"}";

/// Answers at all doors until `ends` says true; open connections are closed
/// then, after their answers.
///
/// # Errors
/// A door cannot be watched.
pub async fn serve(doors: Doors, api: Api, ends: watch::Receiver<bool>) -> io::Result<()> {
    let Doors { unix, tcp } = doors;
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let router =
        |guard: Guard| routes(api.clone()).layer(middleware::from_fn_with_state(guard, guard::check));
    let mut halls = JoinSet::new();
    let written = page::write(api.clone(), ends.clone());
    // Its file is removed when all is over.
    let _unix = match unix {
        None => None,
        Some(door) => {
            let listener = UnixListener::from_std(door.listener.try_clone()?)?;
            halls.spawn(hall(UnixSide(listener), router(Guard::Socket), Arc::clone(&room), ends.clone()));
            Some(door)
        }
    };
    if let Some(door) = tcp {
        let side = TcpSide { listener: TcpListener::from_std(door.listener)?, encryption: door.encryption };
        halls.spawn(hall(side, router(door.guard), room, ends.clone()));
    }
    if !halls.is_empty() {
        halls.spawn(written);
    }
    while halls.join_next().await.is_some() {}
    // Without any door there is still an end to wait for.
    over(ends).await;
    Ok(())
}

/// One door from within.
trait Side: Send + 'static {
    type Stream: Send + 'static;

    /// The next who comes.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Says that there is no room.
    fn refuse(stream: &Self::Stream);

    /// Answers the requests of one who came.
    fn answer(
        &self,
        stream: Self::Stream,
        router: Router,
        ends: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static;
}

struct UnixSide(UnixListener);

impl Side for UnixSide {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.0.accept().await.map(|(stream, _)| stream)
    }

    fn refuse(stream: &UnixStream) {
        let _ = stream.try_write(FULL);
    }

    fn answer(
        &self,
        stream: UnixStream,
        router: Router,
        ends: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        requests(stream, router, ends)
    }
}

struct TcpSide {
    listener: TcpListener,
    encryption: Option<Arc<Encryption>>,
}

impl Side for TcpSide {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    fn refuse(stream: &TcpStream) {
        let _ = stream.try_write(FULL);
    }

    fn answer(
        &self,
        stream: TcpStream,
        router: Router,
        ends: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let acceptor = self.encryption.as_ref().map(|encryption| encryption.acceptor());
        async move {
            // An answer is written as a whole: waiting for more gains nothing.
            let _ = stream.set_nodelay(true);
            match acceptor {
                None => requests(stream, router, ends).await,
                Some(acceptor) => match timeout(GREETS_WITHIN, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => requests(stream, router, ends).await,
                    Ok(Err(error)) => tracing::debug!("a connection could not be encrypted: {error}"),
                    Err(_) => tracing::debug!("a connection was not encrypted in time"),
                },
            }
        }
    }
}

/// Returns when the agent ends.
async fn over(mut ends: watch::Receiver<bool>) {
    // Whoever would say so being gone is an end as well.
    let _ = ends.wait_for(|ends| *ends).await;
}

/// Takes who comes through a door.
async fn hall<S: Side>(side: S, router: Router, room: Arc<Semaphore>, ends: watch::Receiver<bool>) {
    let mut guests = JoinSet::new();
    let end = over(ends.clone());
    tokio::pin!(end);
    loop {
        tokio::select! {
            biased;
            () = end.as_mut() => break,
            Some(_) = guests.join_next() => {}
            come = side.accept() => match come {
                Ok(stream) => match Arc::clone(&room).try_acquire_owned() {
                    Ok(place) => {
                        let answers = side.answer(stream, router.clone(), ends.clone());
                        guests.spawn(seated(place, answers));
                    }
                    Err(_) => S::refuse(&stream),
                },
                Err(error) => {
                    tracing::warn!("a connection could not be taken: {error}");
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop(side);
    let left = async { while guests.join_next().await.is_some() {} };
    // Who has not left by then is cut off when the set is dropped.
    let _ = timeout(LEAVES_WITHIN, left).await;
}

async fn seated(place: OwnedSemaphorePermit, answers: impl Future<Output = ()>) {
    answers.await;
    drop(place);
}

/// Answers the requests of one connection.
async fn requests<S>(stream: S, router: Router, ends: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(ASKS_WITHIN)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_HEADERS);
    let stream = TokioIo::new(Connection::new(stream));
    let connection = builder.serve_connection(stream, TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = over(ends) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended early: {error}");
    }
}
