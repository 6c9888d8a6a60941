//! A datagram socket between a VPN and the simulation.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

use tunctl_vpn::datagrams::{Datagrams, Endpoint, Received};

/// What one call sent: datagrams of `size` bytes, the last of which may be shorter.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
    pub(crate) size: usize,
    /// The call failed.
    pub(crate) is_refused: bool,
}

/// What one call receives.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) from: SocketAddr,
    pub(crate) bytes: Vec<u8>,
    pub(crate) size: usize,
}

/// A socket. The VPN has one clone, the simulation another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Socket(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    arrived: VecDeque<Arrived>,
    sent: Vec<Sent>,
    fail_send: Option<u32>,
    fail_receive: Option<u32>,
}

impl Socket {
    /// The next call to receive gets this.
    pub(crate) fn deliver(&self, arrived: Arrived) {
        self.0.borrow_mut().arrived.push_back(arrived);
    }

    /// What was sent since the last time.
    pub(crate) fn take_sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.borrow_mut().sent)
    }

    /// Whether something waits to be received.
    pub(crate) fn is_readable(&self) -> bool {
        !self.0.borrow().arrived.is_empty()
    }

    /// The n-th call from now on fails to send.
    pub(crate) fn fail_send(&self, call: u32) {
        self.0.borrow_mut().fail_send = Some(call);
    }

    /// The n-th call from now on fails to receive.
    pub(crate) fn fail_receive(&self, call: u32) {
        self.0.borrow_mut().fail_receive = Some(call);
    }
}

/// Counts a call. Returns whether it is the one that fails.
fn is_due(fault: &mut Option<u32>) -> bool {
    *fault = fault.map(|calls| calls.saturating_sub(1));
    fault.take_if(|calls| *calls == 0).is_some()
}

impl Datagrams for Socket {
    fn recv(&self, room: &mut [u8]) -> io::Result<Received> {
        let mut state = self.0.borrow_mut();
        if is_due(&mut state.fail_receive) {
            return Err(ErrorKind::OutOfMemory.into());
        }
        let Arrived { from, bytes, size } = state.arrived.pop_front().ok_or(ErrorKind::WouldBlock)?;
        room[..bytes.len()].copy_from_slice(&bytes);
        Ok(Received { from: Endpoint { remote: from, local: None }, length: bytes.len(), size })
    }

    fn send(&self, to: Endpoint, bytes: &[u8], size: usize) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        let is_refused = is_due(&mut state.fail_send);
        state.sent.push(Sent { to: to.remote, bytes: bytes.to_vec(), size, is_refused });
        if is_refused { Err(ErrorKind::NetworkUnreachable.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_call_fails_and_loses_nothing_that_was_received() {
        let (socket, address) = (Socket::default(), SocketAddr::from(([192, 0, 2, 1], 1)));
        let to = Endpoint { remote: address, local: None };
        socket.fail_send(2);
        socket.fail_receive(1);
        let outcomes = [1, 2, 3].map(|byte| socket.send(to, &[byte], 1).is_ok());
        let refused: Vec<_> = socket.take_sent().iter().map(|sent| !sent.is_refused).collect();
        assert_eq!((outcomes, &refused[..]), ([true, false, true], &[true, false, true][..]));
        socket.deliver(Arrived { from: address, bytes: vec![9], size: 1 });
        let mut room = [0; 4];
        assert_eq!(socket.recv(&mut room).unwrap_err().kind(), ErrorKind::OutOfMemory);
        assert_eq!((socket.recv(&mut room).unwrap().length, room[0]), (1, 9));
        assert_eq!(socket.recv(&mut room).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}
