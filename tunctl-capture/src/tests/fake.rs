//! A device with nothing behind it: it gives the packets it was filled with, and keeps what is sent.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tunctl_core::{
    Cause, CreateFlags, DestroyError, Error, Gid, Interface, InterfaceAddress, InterfaceIndex, InterfaceInfo,
    InterfaceName, Interrupter, MacAddress, Mtu, Operation, Queues, Readiness, Result, State, TunDevice, Uid,
    WaitOutcome,
};

#[derive(Clone, Debug)]
pub(super) struct FakeInterface {
    flags: CreateFlags,
}

#[derive(Debug)]
pub(super) struct Fake {
    interface: FakeInterface,
    descriptor: UnixStream,
    waiting: Arc<Mutex<VecDeque<Vec<u8>>>>,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Fake {
    pub(super) fn new(flags: CreateFlags) -> Self {
        Self {
            interface: FakeInterface { flags },
            descriptor: UnixStream::pair().unwrap().0,
            waiting: Arc::default(),
            sent: Arc::default(),
        }
    }

    pub(super) fn fill(&self, packet: &[u8]) {
        self.waiting.lock().unwrap().push_back(packet.to_vec());
    }

    pub(super) fn sent(&self) -> Vec<Vec<u8>> {
        self.sent.lock().unwrap().clone()
    }
}

fn unsupported<T>(operation: Operation) -> Result<T> {
    Err(Error::new(operation, Cause::Unsupported))
}

impl Interface for FakeInterface {
    fn index(&self) -> InterfaceIndex {
        InterfaceIndex::new(7).unwrap()
    }

    fn info(&self) -> Result<InterfaceInfo> {
        let (name, layer) = (InterfaceName::new("fake0").unwrap(), self.flags.layer().unwrap());
        Ok(InterfaceInfo::new(name, self.index(), layer, Mtu::MIN))
    }

    fn dropped(&self) -> Result<u64> {
        unsupported(Operation::Inspect)
    }

    fn addresses(&self) -> Result<Vec<InterfaceAddress>> {
        unsupported(Operation::ListAddresses)
    }

    fn add_address(&self, _: InterfaceAddress) -> Result<bool> {
        unsupported(Operation::AddAddress)
    }

    fn remove_address(&self, _: InterfaceAddress) -> Result<()> {
        unsupported(Operation::RemoveAddress)
    }

    fn set_state(&self, _: State) -> Result<()> {
        unsupported(Operation::Up)
    }

    fn set_mtu(&self, _: Mtu) -> Result<()> {
        unsupported(Operation::SetMtu)
    }

    fn set_mac(&self, _: MacAddress) -> Result<()> {
        unsupported(Operation::SetMac)
    }

    fn rename(&self, _: &InterfaceName) -> Result<()> {
        unsupported(Operation::Rename)
    }

    fn delete(&self) -> Result<()> {
        unsupported(Operation::Delete)
    }
}

impl AsFd for Fake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl TunDevice for Fake {
    type Interface = FakeInterface;

    fn interface(&self) -> &FakeInterface {
        &self.interface
    }

    fn name(&self) -> Result<InterfaceName> {
        self.interface.name()
    }

    fn flags(&self) -> CreateFlags {
        self.interface.flags
    }

    fn try_recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.try_recv_vectored(&mut [IoSliceMut::new(buffer)])
    }

    fn try_recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Ok(0);
        }
        let packet = self.waiting.lock().unwrap().pop_front();
        let packet = packet.ok_or(Error::new(Operation::Receive, Cause::WouldBlock))?;
        Ok((&packet[..]).read_vectored(buffers).unwrap())
    }

    fn try_send(&self, packet: &[u8]) -> Result<usize> {
        self.try_send_vectored(&[IoSlice::new(packet)])
    }

    fn try_send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        let mut packet = Vec::new();
        let length = packet.write_vectored(pieces).unwrap();
        if length == 0 {
            return Err(Error::new(Operation::Send, Cause::TooShort));
        }
        self.sent.lock().unwrap().push(packet);
        Ok(length)
    }

    fn wait_until(&self, _: Readiness, _: Option<Duration>, _: Option<&Interrupter>) -> Result<WaitOutcome> {
        unsupported(Operation::Wait)
    }

    fn set_persist(&self, _: bool) -> Result<()> {
        unsupported(Operation::SetPersist)
    }

    fn set_owner(&self, _: Uid) -> Result<()> {
        unsupported(Operation::SetOwner)
    }

    fn set_group(&self, _: Gid) -> Result<()> {
        unsupported(Operation::SetGroup)
    }

    fn try_clone(&self) -> Result<Self> {
        Ok(Self {
            interface: self.interface.clone(),
            descriptor: self.descriptor.try_clone().unwrap(),
            waiting: Arc::clone(&self.waiting),
            sent: Arc::clone(&self.sent),
        })
    }

    fn destroy(self) -> Result<(), DestroyError<Self>> {
        Err(DestroyError::new(Error::new(Operation::Destroy, Cause::Busy), Some(self)))
    }
}

impl Queues for Fake {
    fn attach_queue(&self) -> Result<()> {
        unsupported(Operation::AttachQueue)
    }

    fn detach_queue(&self) -> Result<()> {
        unsupported(Operation::DetachQueue)
    }
}
