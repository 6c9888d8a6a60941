//! Why a packet could not be received or sent.

use nix::errno::Errno;
use tunctl_core::{Cause, Layer, Reason};
use tunctl_packet::header::HeaderKind;

use super::{from_errno, gone};

/// The most pieces of a vectored call (`UIO_MAXIOV`).
const MOST_PIECES: usize = 1024;

/// `read` into `room` bytes failed on a device whose packets have these headers.
pub(crate) fn receive(errno: Errno, headers: HeaderKind, room: usize) -> Reason {
    let headers = headers.length();
    match errno {
        Errno::EBADFD => gone(),
        Errno::EINVAL if room < headers => Reason::new(Cause::TooShort)
            .with_detail(format!(
                "the buffer has {room} bytes, and the headers in front of a packet have {headers}"
            ))
            .with_remedy("The packet is lost. Receive into a buffer of longest_packet() bytes."),
        errno => from_errno(errno),
    }
}

/// `write` of `length` bytes failed on a device of this layer, whose packets have these headers.
pub(crate) fn send(errno: Errno, layer: Layer, headers: HeaderKind, length: usize) -> Reason {
    let headers = headers.length();
    let least = headers + least_behind_headers(layer);
    match errno {
        Errno::EBADFD => gone(),
        Errno::EIO => {
            Reason::new(Cause::Down).with_remedy("Bring it up first, for instance by: ip link set NAME up.")
        }
        Errno::ENOBUFS => Reason::new(Cause::NoBuffers),
        // `tun_get_user`, Linux 6.18. Without NAPI, such a queue can send.
        Errno::EBUSY => Reason::new(Cause::NoQueue)
            .with_detail("its queue is out of service, and so cannot send with NAPI")
            .with_remedy("Attach the queue first."),
        Errno::EINVAL if length < least => {
            Reason::new(Cause::TooShort).with_detail(too_short(layer, headers, length)).with_remedy(
                "A write is one whole packet, beginning with the headers that the device was created with.",
            )
        }
        Errno::EINVAL if headers > 0 => Reason::new(Cause::MalformedPacket)
            .with_detail("the headers in front of the packet, or the packet itself, are malformed")
            .with_remedy(
                "This device was created with packet information or a virtio-net header: each write begins \
                 with these headers, followed by an IP packet (tun) or an Ethernet frame (tap).",
            ),
        Errno::EINVAL if layer == Layer::Tun => Reason::new(Cause::MalformedPacket)
            .with_detail("on a tun, a packet begins with an IPv4 or IPv6 header")
            .with_remedy(
                "Its first four bits must be 4 or 6. Ethernet frames need a tap. A packet information or \
                 virtio-net header in front needs a device created with that header.",
            ),
        Errno::EINVAL => Reason::new(Cause::MalformedPacket),
        errno => from_errno(errno),
    }
}

/// A vectored call with this many pieces failed; `None` if not because of their number. The kernel counts
/// them before it looks at anything else (`import_iovec`).
pub(crate) fn pieces(errno: Errno, count: usize) -> Option<Reason> {
    (errno == Errno::EINVAL && count > MOST_PIECES).then(|| {
        Reason::new(Cause::TooManyPieces)
            .with_detail(format!("there are {count} pieces, and a call takes {MOST_PIECES}"))
    })
}

/// What the kernel asks for behind the headers (`tun_get_user`, Linux 6.18): a frame's own header, or at
/// least something.
const fn least_behind_headers(layer: Layer) -> usize {
    match layer {
        Layer::Tun => 1,
        Layer::Tap => 14,
    }
}

fn too_short(layer: Layer, headers: usize, length: usize) -> String {
    let bytes = |count: usize| if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") };
    if length < headers {
        return format!(
            "the packet has {}, and the headers in front of it {}",
            bytes(length),
            bytes(headers)
        );
    }
    let (behind, what) = if headers == 0 { ("", "it has") } else { (" behind the headers", "there are") };
    let least = least_behind_headers(layer);
    let kind = match layer {
        Layer::Tun => "a packet",
        Layer::Tap => "an Ethernet frame",
    };
    format!("{kind} has at least {}{behind}, and {what} {}", bytes(least), bytes(length - headers))
}
