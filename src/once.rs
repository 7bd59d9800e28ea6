//! `kvmscope once`: two readings one interval apart, as one frame.
//!
//! Owns the waiting for the second cycle. It starts the same collector as the
//! screen, records nothing and sends nothing.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use thiserror::Error;

use crate::{
    clock::Clock,
    collector::{self, Command, Settings, Sink},
    model::{
        Frame,
        frame::Health,
        status::{CollectionState, CollectorStatus},
    },
};

/// Why there is no second reading.
#[derive(Debug, Error)]
pub enum OnceError {
    /// libvirt could not be read; the words say what to do.
    #[error("{0}")]
    Libvirt(String),
    /// Nothing came in time.
    #[error(
        "libvirt gave no two readings within {0:.0} s; see whether it hangs (`virsh list` answers?), or raise LIBVIRT_TIMEOUT"
    )]
    TooSlow(f64),
    /// The collector's thread could not be started.
    #[error("cannot start the collector: {0}; the limit on processes may be reached")]
    Thread(#[from] std::io::Error),
}

enum News {
    Frame(Arc<Frame>),
    Failed(String),
}

struct Forward(mpsc::Sender<News>);

impl Sink for Forward {
    fn frame(&mut self, frame: Arc<Frame>) {
        // Nobody listens any more once the second frame is in.
        drop(self.0.send(News::Frame(frame)));
    }

    fn status(&mut self, status: CollectorStatus) {
        if let CollectionState::Failed { why, .. } = status.state {
            drop(self.0.send(News::Failed(why)));
        }
    }
}

/// Reads every domain twice, one interval apart, and gives the second frame
/// with the rates between them.
///
/// # Errors
/// When libvirt cannot be read, or not in time.
pub fn read_twice(settings: Settings, clock: Clock) -> Result<Arc<Frame>, OnceError> {
    let patience = settings.libvirt.timeout + settings.interval * 2 + Duration::from_secs(10);
    let (news, inbox) = mpsc::channel();
    let collector = collector::start(settings, clock, Forward(news))?;
    collector.command(Command::Start);
    let deadline = std::time::Instant::now() + patience;
    let mut frames = 0;
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        match inbox.recv_timeout(left) {
            Ok(News::Frame(frame)) => {
                frames += 1;
                if frames == 2 {
                    collector.command(Command::Shutdown);
                    return Ok(frame);
                }
            }
            Ok(News::Failed(why)) => return Err(OnceError::Libvirt(why)),
            Err(_) => return Err(OnceError::TooSlow(patience.as_secs_f64())),
        }
    }
}

/// Whether every live domain answered in full.
#[must_use]
pub fn everyone_answered(frame: &Frame) -> bool {
    frame.domains.iter().all(|domain| !matches!(domain.health, Health::Impaired(_)))
}
