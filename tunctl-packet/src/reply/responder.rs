//! Answers to pings that come in fragments.

use alloc::collections::VecDeque;
use core::net::IpAddr;

use etherparse::IpNumber;

use super::NoReply;
use super::request::Request;

/// Answers what [`echo_reply`](crate::echo_reply) answers, and requests in fragments too (`ping -s 4000`).
///
/// It doesn't put them together: each fragment of an answered request is turned around as it comes. For that,
/// it remembers the last [`CAPACITY`](Self::CAPACITY) requests whose first fragment it answered. Only the far
/// end can verify the checksum of such a request: where it was wrong, the answer's is too.
///
/// A fragment that comes before the first one of its request is refused, and that request is lost. Kernels
/// send them in order.
#[derive(Clone, Debug, Default)]
pub struct EchoResponder {
    /// The oldest in front.
    answered: VecDeque<Datagram>,
}

/// What the fragments of a datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Datagram {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    number: IpNumber,
}

impl EchoResponder {
    /// How many fragmented requests it remembers; a further one displaces the oldest.
    pub const CAPACITY: usize = 64;

    /// One that remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        EchoResponder::default()
    }

    /// Turns an echo request, or a fragment of one, into its answer, written to `answer`; returns its length
    /// in bytes.
    ///
    /// See [`echo_reply`](crate::echo_reply) for what is answered, and how.
    ///
    /// # Errors
    ///
    /// [`NoReply`], by cause, with `answer` unchanged. [`NoReply::UnknownFragment`] is for later fragments
    /// only, and [`NoReply::Fragment`] never comes.
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
            // Identifications come around again: this may be another datagram than the one remembered.
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
