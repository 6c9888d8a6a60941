//! What the driver answers to a packet, and the header that it wants in front of one.

use std::io::{self, IoSliceMut};

use tunctl_core::{Cause, Error, Interface, Layer, Operation, Reason, Result, State};
use tunctl_packet::header::AddressFamily;

use super::{BsdDevice, ETHERNET_HEADER_LENGTH, MOST_PIECES, VNET_HEADER};
use crate::af_header::AF_HEADER_LENGTH;
use crate::syscalls::Syscalls;
use crate::{errno, remedy};

impl<C: Syscalls> BsdDevice<C> {
    pub(super) fn receive_error(&self, error: &io::Error) -> Error {
        match errno::of(error) {
            errno::EAGAIN => remedy::with_errno(remedy::receive(errno::EAGAIN), error).of(Operation::Receive),
            errno => self.error(Operation::Receive, remedy::receive(self.normalized_errno(errno)), error),
        }
    }

    /// Maps the driver's own errno for "the interface is down" to `ENETDOWN`.
    #[cold]
    pub(super) fn normalized_errno(&self, errno: i32) -> i32 {
        let may_be_down = self.interface.kind().errno_when_down == Some(errno);
        let is_down = may_be_down && matches!(self.interface.state(), Ok(State::Down));
        if is_down { errno::ENETDOWN } else { errno }
    }

    pub(super) fn receive(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.channel.read(&self.system().syscalls, buffers).map_err(|error| self.receive_error(&error))
    }

    /// Receives an AF header and a packet; returns the packet's length.
    pub(super) fn receive_after_af_header(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        let length = self.receive(buffers)?;
        length.checked_sub(AF_HEADER_LENGTH).ok_or_else(|| {
            let truncated = Reason::new(Cause::Other);
            let truncated = truncated.with_detail("the driver returned less than an address family header");
            truncated.of(Operation::Receive).with_name(self.interface.last_name())
        })
    }

    /// Refuses more pieces than a vectored call takes, one of which may be the AF header. The systems refuse
    /// them too, with an errno that says nothing of their number (`EINVAL`).
    pub(super) fn check_pieces(&self, operation: Operation, count: usize) -> Result<()> {
        let most = if self.interface.kind().has_af_header { MOST_PIECES - 1 } else { MOST_PIECES };
        if count <= most {
            return Ok(());
        }
        let reason = Reason::new(Cause::TooManyPieces)
            .with_detail(format!("there are {count} pieces, and a call takes {most}"));
        Err(reason.of(operation).with_name(self.interface.last_name()))
    }

    pub(super) fn send_refused(&self, reason: impl Into<Reason>) -> Error {
        Error::new(Operation::Send, reason).with_name(self.interface.last_name())
    }

    /// Checks the outcome of writing `length` bytes of the program's after `header_length` bytes of this
    /// crate's.
    pub(super) fn sent(
        &self,
        outcome: io::Result<usize>,
        header_length: usize,
        length: usize,
    ) -> Result<usize> {
        match outcome {
            Ok(written) if written == header_length + length => Ok(length),
            // While the interface is down, FreeBSD's `tunwrite` returns 0 and reports no error.
            Ok(written) if written <= header_length => Err(self.send_refused(Cause::Down)),
            Ok(_) => {
                let cut = Reason::new(Cause::MalformedPacket);
                Err(self.send_refused(
                    cut.with_detail("the packet is longer than the MTU, and the driver truncated it"),
                ))
            }
            Err(error) if errno::of(&error) == errno::EAGAIN => {
                Err(remedy::with_errno(remedy::send(errno::EAGAIN), &error).of(Operation::Send))
            }
            Err(error) => {
                let errno = self.normalized_errno(errno::of(&error));
                Err(self.error(Operation::Send, remedy::send(errno), &error))
            }
        }
    }

    /// Returns the AF header for a packet with this first byte and length, if this kind of interface needs
    /// one. Refuses bytes that are not a packet.
    pub(super) fn af_header_for(
        &self,
        first: Option<u8>,
        length: usize,
    ) -> Result<Option<[u8; AF_HEADER_LENGTH]>> {
        let kind = self.interface.kind();
        if kind.layer == Layer::Tap {
            let least =
                if self.vnet_header { VNET_HEADER + ETHERNET_HEADER_LENGTH } else { ETHERNET_HEADER_LENGTH };
            return if length < least { Err(self.send_refused(Cause::TooShort)) } else { Ok(None) };
        }
        let first = first.ok_or_else(|| self.send_refused(Cause::TooShort))?;
        let family =
            AddressFamily::for_packet(&[first]).ok_or_else(|| self.send_refused(Cause::MalformedPacket))?;
        Ok(kind.has_af_header.then(|| family.to_bytes(self.system().rules.system)))
    }
}
