//! Packets as a stream, and a sink for them; events as a stream.

use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_sink::Sink;
use tokio::io::Interest;
use tunctl_core::{Error, EventWatcher, InterfaceEvent, Result, TunDevice};

use crate::{AsyncDevice, AsyncEvents};

/// Packets as a [`Stream`]: each in its own vector.
///
/// The stream ends after an error: `Gone`, when the interface is deleted, or any other error of a receive.
///
/// It copies each packet into its vector, and allocates when it waits. [`AsyncDevice::recv`] does neither.
///
/// ```
/// use std::sync::Arc;
///
/// use futures_util::StreamExt;
/// use tunctl_core::{CreateOptions, TunBackend, TunDevice};
/// use tunctl_tokio::{AsyncDevice, PacketSink, PacketStream};
/// # use tunctl_mock::MockBackend;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let kernel = MockBackend::new();
/// # let backend = &kernel;
/// let tun = backend.create(&CreateOptions::tun().name("tun0").address("10.1.1.1/24").up())?;
/// let tun = Arc::new(AsyncDevice::new(tun)?);
/// # kernel.inject("tun0", [0x45; 20]);
/// let packets = PacketStream::new(tun.clone());
/// packets.take(1).forward(PacketSink::new(tun)).await?;
/// # assert_eq!(kernel.take("tun0").unwrap(), [0x45; 20]);
/// # Ok(())
/// # }
/// ```
pub struct PacketStream<D> {
    device: Arc<AsyncDevice<D>>,
    buffer: Vec<u8>,
    waiting: Option<Waiting>,
    is_over: bool,
}

/// A [`Sink`] for packets: any type that holds bytes.
///
/// The sink sends a packet when it is flushed, or when it gets the next packet, and reports the error then.
/// So `flush` or `close` it before you drop it, as `send` and `forward` do. As with any sink, call
/// `poll_ready` before `start_send`, or the previous packet is lost.
pub struct PacketSink<D, P> {
    device: Arc<AsyncDevice<D>>,
    held: Option<P>,
    waiting: Option<Waiting>,
}

/// A wait until the device is ready.
type Waiting = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

impl<D: TunDevice> PacketStream<D> {
    /// A stream of packets of up to 65,600 bytes, which is more than any packet has.
    #[must_use]
    pub fn new(device: Arc<AsyncDevice<D>>) -> Self {
        const LONGEST: NonZeroUsize = NonZeroUsize::new(65_600).unwrap();
        Self::with_packet_length(device, LONGEST)
    }

    /// A stream of packets of up to `bytes` bytes, including the headers in front of them. A longer packet
    /// loses its tail.
    #[must_use]
    pub fn with_packet_length(device: Arc<AsyncDevice<D>>, bytes: NonZeroUsize) -> Self {
        Self { device, buffer: vec![0; bytes.get()], waiting: None, is_over: false }
    }
}

impl<D: TunDevice + 'static> Stream for PacketStream<D> {
    type Item = Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { device, buffer, waiting, is_over } = self.get_mut();
        if *is_over {
            return Poll::Ready(None);
        }
        let received = loop {
            if let Err(error) = ready!(poll_waiting(waiting, context)) {
                break Err(error);
            }
            match ready!(
                device.watched.poll_attempt(context, Interest::READABLE, |device| device.try_recv(buffer))
            ) {
                Err(error) if error.is_would_block() => {
                    let device = device.clone();
                    *waiting = Some(Box::pin(async move { device.readable().await }));
                }
                received => break received,
            }
        };
        *is_over = received.is_err();
        Poll::Ready(Some(received.map(|length| buffer.get(..length).unwrap_or_default().to_vec())))
    }
}

impl<D: TunDevice + 'static> FusedStream for PacketStream<D> {
    fn is_terminated(&self) -> bool {
        self.is_over
    }
}

impl<D: TunDevice, P> PacketSink<D, P> {
    /// A sink that sends packets to this device.
    #[must_use]
    pub const fn new(device: Arc<AsyncDevice<D>>) -> Self {
        Self { device, held: None, waiting: None }
    }
}

impl<D: TunDevice + 'static, P: AsRef<[u8]> + Unpin> Sink<P> for PacketSink<D, P> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_flush(context)
    }

    fn start_send(self: Pin<&mut Self>, packet: P) -> Result<()> {
        self.get_mut().held = Some(packet);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { device, held, waiting } = self.get_mut();
        while let Some(packet) = held {
            ready!(poll_waiting(waiting, context))?;
            match ready!(
                device
                    .watched
                    .poll_attempt(context, Interest::WRITABLE, |device| device.try_send(packet.as_ref()))
            ) {
                Err(error) if error.is_would_block() => {
                    let device = device.clone();
                    *waiting = Some(Box::pin(async move { device.writable().await }));
                }
                sent => {
                    // The packet was sent or refused. It is not tried again.
                    *held = None;
                    sent?;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_flush(context)
    }
}

impl<W: EventWatcher + Unpin> Stream for AsyncEvents<W> {
    type Item = Result<InterfaceEvent>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(context)
    }
}

/// Waits for the device, if a wait has been started.
fn poll_waiting(waiting: &mut Option<Waiting>, context: &mut Context<'_>) -> Poll<Result<()>> {
    let Some(ready) = waiting else { return Poll::Ready(Ok(())) };
    let outcome = ready!(ready.as_mut().poll(context));
    *waiting = None;
    Poll::Ready(outcome)
}

impl<D: fmt::Debug> fmt::Debug for PacketStream<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, is_over, .. } = self;
        f.debug_struct("PacketStream")
            .field("device", device)
            .field("is_over", is_over)
            .finish_non_exhaustive()
    }
}

impl<D: fmt::Debug, P> fmt::Debug for PacketSink<D, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, held, .. } = self;
        let holds_a_packet = held.is_some();
        f.debug_struct("PacketSink")
            .field("device", device)
            .field("holds_a_packet", &holds_a_packet)
            .finish_non_exhaustive()
    }
}
