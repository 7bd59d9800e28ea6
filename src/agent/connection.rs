//! A connection that is given up on when the other side takes nothing.

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

/// A stream whose writing fails when it has waited too long.
pub(super) struct Connection<S> {
    stream: S,
    /// Runs while a write waits.
    waits: Option<Pin<Box<Sleep>>>,
}

impl<S> Connection<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, waits: None }
    }

    /// What came of a write: where it waits, until when.
    fn judge<T>(
        waits: &mut Option<Pin<Box<Sleep>>>,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            *waits = None;
            return written;
        }
        let until = waits.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + TAKES_WITHIN)));
        match until.as_mut().poll(context) {
            Poll::Ready(()) => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "the other side takes nothing");
                Poll::Ready(Err(error))
            }
            Poll::Pending => Poll::Pending,
        }
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
        Self::judge(waits, context, written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, waits } = self.get_mut();
        let flushed = Pin::new(stream).poll_flush(context);
        Self::judge(waits, context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, waits } = self.get_mut();
        let closed = Pin::new(stream).poll_shutdown(context);
        Self::judge(waits, context, closed)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, waits } = self.get_mut();
        let written = Pin::new(stream).poll_write_vectored(context, buffers);
        Self::judge(waits, context, written)
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

        let (ours, mut slow) = duplex(16);
        let mut connection = Connection::new(ours);
        let reader = tokio::spawn(async move {
            let mut taken = 0;
            while taken < 64 {
                tokio::time::sleep(TAKES_WITHIN / 2).await;
                let mut bytes = [0; 16];
                taken += slow.read(&mut bytes).await.unwrap();
            }
        });
        connection.write_all(&[0; 64]).await.unwrap();
        reader.await.unwrap();
    }
}
