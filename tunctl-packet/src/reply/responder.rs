//! Answers to fragmented pings.

use alloc::collections::VecDeque;
use core::net::IpAddr;

use etherparse::IpNumber;

use super::NoReply;
use super::request::Request;

/// Answers the same requests as [`echo_reply`](crate::echo_reply), and fragmented requests (`ping -s 4000`).
///
/// The responder does not reassemble requests: it answers each fragment as it arrives. To do so, it remembers
/// the last [`CAPACITY`](Self::CAPACITY) requests whose first fragment it answered. It cannot verify the
/// checksum of a fragmented request. If that is wrong, the reply's checksum is wrong, too, and its receiver
/// drops it.
///
/// A fragment that arrives before the first fragment of its request is refused, and the request is lost.
/// Kernels send fragments in order.
#[derive(Clone, Debug, Default)]
pub struct EchoResponder {
    /// The oldest comes first.
    answered: VecDeque<Datagram>,
}

/// The fields that the fragments of a datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Datagram {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    number: IpNumber,
}

impl EchoResponder {
    /// How many fragmented requests the responder remembers. A further request displaces the oldest.
    pub const CAPACITY: usize = 64;

    /// A responder that remembers no request.
    #[must_use]
    pub fn new() -> Self {
        EchoResponder::default()
    }

    /// Writes the reply to an echo request, or to a fragment of one, to `answer`; returns the reply's length
    /// in bytes.
    ///
    /// [`echo_reply`](crate::echo_reply) documents the requests and the replies.
    ///
    /// # Errors
    ///
    /// [`NoReply`], by cause, with `answer` unchanged. [`NoReply::UnknownFragment`] is returned for later
    /// fragments only, and [`NoReply::Fragment`] never.
    pub fn respond(&mut self, request: &[u8], answer: &mut [u8]) -> Result<usize, NoReply> {
        let request = Request::parse(request)?;
        let Some(fragment) = request.fragment() else {
            return request.answer_whole(answer);
        };
        let datagram = Datagram {
            source: request.source(),
            destination: request.destination(),
            identification: fragment.identification,
            number: request.number(),
        };
        if fragment.offset == 0 {
            // Senders reuse identifications, so this may be another datagram than the remembered one.
            self.answered.retain(|known| *known != datagram);
            let length = request.answer_first_fragment(answer)?;
            if self.answered.len() >= Self::CAPACITY {
                self.answered.pop_front();
            }
            self.answered.push_back(datagram);
            Ok(length)
        } else if self.answered.contains(&datagram) {
            request.answer_later_fragment(answer)
        } else {
            Err(NoReply::UnknownFragment)
        }
    }
}
