//! A connection that is given up on when the other side takes nothing, or so
//! little that an answer would be held for it for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// How long the other side may take nothing of what is to be sent.
pub(super) const TAKES_WITHIN: Duration = Duration::from_secs(10);

/// The least rate, in bytes per second, at which it has to take what waits for
/// it: what is sent to it is kept in memory until then.
pub(super) const LEAST_RATE: u64 = 64 * 1024;

/// A stream whose writing fails when it has waited too long.
pub(super) struct Connection<S> {
    stream: S,
    waits: Waits,
}

/// The waiting of what is to be sent.
#[derive(Default)]
struct Waits {
    /// Runs while a write waits.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Since when something waits, and how many bytes were taken since.
    backlog: Option<(Instant, u64)>,
}

impl<S> Connection<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, waits: Waits::default() }
    }
}

impl Waits {
    /// What came of a write: where it waits, until when.
    fn judge<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.alarm = None;
            return written;
        }
        let (since, taken) = *self.backlog.get_or_insert_with(|| (Instant::now(), 0));
        let alarm = self.alarm.get_or_insert_with(|| {
            let by_rate = since + TAKES_WITHIN + Duration::from_secs(taken / LEAST_RATE);
            Box::pin(sleep_until(by_rate.min(Instant::now() + TAKES_WITHIN)))
        });
        match alarm.as_mut().poll(context) {
            Poll::Ready(()) => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "the other side takes too little");
                Poll::Ready(Err(error))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// As [`Self::judge`], for a write of so many bytes.
    fn judge_write(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let (Poll::Ready(Ok(bytes)), Some((_, taken))) = (&written, &mut self.backlog) {
            *taken += *bytes as u64;
        }
        self.judge(context, written)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, waits } = self.get_mut();
        let written = Pin::new(stream).poll_write(context, bytes);
        waits.judge_write(context, written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, waits } = self.get_mut();
        let flushed = Pin::new(stream).poll_flush(context);
        if flushed.is_ready() {
            // It is flushed when all was written: nothing waits.
            waits.backlog = None;
        }
        waits.judge(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, waits } = self.get_mut();
        let closed = Pin::new(stream).poll_shutdown(context);
        waits.judge(context, closed)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, waits } = self.get_mut();
        let written = Pin::new(stream).poll_write_vectored(context, buffers);
        waits.judge_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_nothing_is_given_up_on_and_one_that_is_slow_is_not() {
        let (ours, _takes_nothing) = duplex(16);
        let mut connection = Connection::new(ours);
        let begun = Instant::now();
        let error = connection.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (io::ErrorKind::TimedOut, TAKES_WITHIN));

        let (ours, mut slow) = duplex(1 << 20);
        let mut connection = Connection::new(ours);
        let reader = tokio::spawn(async move {
            let (mut taken, mut bytes) = (0, vec![0; 1 << 20]);
            while taken < 4 << 20 {
                tokio::time::sleep(TAKES_WITHIN / 2).await;
                taken += slow.read(&mut bytes).await.unwrap();
            }
        });
        connection.write_all(&vec![0; 4 << 20]).await.unwrap();
        reader.await.unwrap();
    }

    /// How long it writes to one who takes `at_once` bytes every 9 s.
    async fn held_by(at_once: usize, answer: usize) -> (io::Result<()>, Duration) {
        let (ours, mut drips) = duplex(at_once);
        let mut connection = Connection::new(ours);
        let reader = tokio::spawn(async move {
            let mut bytes = vec![0; at_once];
            while drips.read(&mut bytes).await.is_ok_and(|count| count > 0) {
                tokio::time::sleep(Duration::from_secs(9)).await;
            }
        });
        let begun = Instant::now();
        let sent = async {
            connection.write_all(&vec![0; answer]).await?;
            connection.flush().await
        };
        let ended = (sent.await, begun.elapsed());
        reader.abort();
        ended
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_a_drip_at_a_time_holds_no_answer_for_long() {
        let (ended, held) = held_by(1, 1 << 20).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(held <= TAKES_WITHIN * 2, "{held:?}");
        // A slow line is no drip.
        let enough = usize::try_from(LEAST_RATE).unwrap() * 10;
        let (ended, held) = held_by(enough, enough * 8).await;
        ended.unwrap();
        assert!(held > TAKES_WITHIN * 3, "{held:?}");
    }
}
