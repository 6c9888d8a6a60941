//! macOS's packet filters, and the pairs of Ethernets that they stand at.

use std::collections::VecDeque;
use std::io::IoSliceMut;

use super::System;
use super::argument::{name, number, put};
use super::numbers::{Ask, EACCES, EAGAIN, EBUSY, EINVAL, EMSGSIZE, ENETDOWN, ENOENT, ENOTTY, ENXIO, EPERM};
use super::world::{Kind, World};

const ETHERNET: usize = 14;
const VLAN_TAG: usize = 4;
/// Source: the header before each captured frame (`bpf_hdr`): the time, two lengths and its own length of 18;
/// padded to four bytes.
const HEADER: usize = 18;
const ALIGNMENT: usize = 4;
/// Source: the sysctls `debug.bpf_bufsize` and `debug.bpf_maxbufsize`, as they come.
const LENGTH: u32 = 4096;
const GREATEST_LENGTH: u32 = 512 * 1024;
/// Assumed: how many nodes there are at most.
const NODES: u32 = 16;

/// A packet filter.
#[derive(Debug)]
pub(crate) struct Filter {
    number: u32,
    length: u32,
    is_bound: bool,
    is_immediate: bool,
    is_complete: bool,
    sees_sent: bool,
    /// What reads give, one each.
    buffers: VecDeque<Vec<u8>>,
}

impl Filter {
    /// Its interface is gone.
    pub(crate) fn unbind(&mut self) {
        self.is_bound = false;
        self.buffers.clear();
    }

    /// Keeps a frame: `None`, there is no room; else, whether it is the first.
    pub(crate) fn store(&mut self, frame: &[u8]) -> Option<bool> {
        let is_first = self.buffers.is_empty();
        let most = self.length as usize;
        let fits = |buffer: &Vec<u8>| buffer.len().next_multiple_of(ALIGNMENT) + HEADER + frame.len() <= most;
        if !self.buffers.back().is_some_and(fits) {
            // Source: there are two buffers (`ROTATE_BUFFERS`).
            if self.buffers.len() == 2 {
                return None;
            }
            self.buffers.push_back(Vec::new());
        }
        let buffer = self.buffers.back_mut()?;
        let length = u32::try_from(frame.len()).ok()?.to_ne_bytes();
        buffer.resize(buffer.len().next_multiple_of(ALIGNMENT), 0);
        buffer.extend([0; 8]);
        buffer.extend(length);
        buffer.extend(length);
        buffer.extend(18_u16.to_ne_bytes());
        buffer.extend_from_slice(frame);
        Some(is_first)
    }
}

impl World {
    /// The filter that opening a node gives; `None`: it is no filter's node.
    pub(crate) fn open_filter(&self, path: &str) -> Option<Result<Filter, i32>> {
        let number: u32 = path.strip_prefix("/dev/bpf")?.parse().ok()?;
        if self.system != System::MacOs {
            return None;
        }
        let in_use = self.filters().any(|filter| filter.number == number);
        Some(match () {
            () if number >= NODES => Err(ENOENT),
            // Fact: the nodes are root's.
            () if !self.root => Err(EACCES),
            // Source: each opens once (`bpfopen`).
            () if in_use => Err(EBUSY),
            () => Ok(Filter {
                number,
                length: LENGTH,
                is_bound: false,
                is_immediate: false,
                is_complete: false,
                sees_sent: true,
                buffers: VecDeque::new(),
            }),
        })
    }

    fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.devices.values().filter_map(|device| device.filter.as_ref())
    }

    pub(crate) fn filter_mut(&mut self, device: u64) -> Option<&mut Filter> {
        self.devices.get_mut(&device)?.filter.as_mut()
    }

    /// `Some`: whether the descriptor is to be non-blocking, which is not the driver's to do.
    pub(crate) fn ask_filter(
        &mut self,
        device: u64,
        ask: Ask,
        argument: &mut [u8],
    ) -> Result<Option<bool>, i32> {
        if ask == Ask::FilterBind {
            return self.bind(device, &name(argument)?).map(|()| None);
        }
        let filter = self.filter_mut(device).ok_or(ENXIO)?;
        match ask {
            Ask::SetNonblocking => return Ok(Some(number(argument, 0)? != 0)),
            // Source: not once it is bound (`bpfioctl`: BIOCSBLEN).
            Ask::FilterSetLength if filter.is_bound => return Err(EINVAL),
            Ask::FilterSetLength => {
                filter.length = number(argument, 0)?.clamp(32, GREATEST_LENGTH);
                put(argument, 0, &filter.length.to_ne_bytes())?;
            }
            Ask::FilterLength => put(argument, 0, &filter.length.to_ne_bytes())?,
            Ask::FilterLinkType if !filter.is_bound => return Err(EINVAL),
            // DLT_EN10MB.
            Ask::FilterLinkType => put(argument, 0, &1_u32.to_ne_bytes())?,
            Ask::FilterSetImmediate => filter.is_immediate = number(argument, 0)? != 0,
            Ask::FilterSetComplete => filter.is_complete = number(argument, 0)? != 0,
            Ask::FilterSetSeesSent => filter.sees_sent = number(argument, 0)? != 0,
            _ => return Err(ENOTTY),
        }
        Ok(None)
    }

    fn bind(&mut self, device: u64, name: &str) -> Result<(), i32> {
        let interface = self.named_mut(name).ok_or(ENXIO)?;
        assert!(interface.kind == Kind::Tap, "{name}: filters at other interfaces are not modelled");
        assert!(interface.device.is_none(), "{name}: two filters at one interface are not modelled");
        interface.device = Some(device);
        self.filter_mut(device).ok_or(ENXIO)?.is_bound = true;
        Ok(())
    }

    /// `SIOCSDRVSPEC` with `IF_FAKE_S_CMD_SET_PEER`.
    pub(crate) fn pair(&mut self, one: &str, other: &str) -> Result<(), i32> {
        if !self.root {
            return Err(EPERM);
        }
        let index = |name: &str| {
            let interface = self.named(name).ok_or(ENXIO)?;
            match (interface.kind, interface.peer) {
                (Kind::Tap, None) => Ok(interface.index),
                // Source: one that is connected, to whatever (`feth_config`).
                (Kind::Tap, Some(_)) => Err(EBUSY),
                _ => Err(EINVAL),
            }
        };
        let (one, other) = (index(one)?, index(other)?);
        for (from, to) in [(one, other), (other, one)] {
            self.indexed_mut(from).ok_or(ENXIO)?.peer = Some(to);
        }
        Ok(())
    }

    /// What a filter gives: all that is in a buffer; and whether that was all that it had.
    pub(crate) fn read_filter(
        &mut self,
        device: u64,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Result<(usize, bool), i32> {
        let is_there = self.of_device(device).is_some();
        let filter = self.filter_mut(device).ok_or(ENXIO)?;
        // Source: nothing else is taken (`bpfread`).
        if buffers.iter().map(|buffer| buffer.len()).sum::<usize>() != filter.length as usize {
            return Err(EINVAL);
        }
        // Source: not bound, or to what has gone (`bpfread`).
        if !is_there {
            return Err(ENXIO);
        }
        assert!(filter.is_immediate, "a filter that waits until it is full is not modelled");
        let stored = filter.buffers.pop_front().ok_or(EAGAIN)?;
        let is_empty = filter.buffers.is_empty();
        let mut rest = &stored[..];
        for buffer in buffers {
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            rest = &rest[length..];
        }
        if let Some(device) = self.devices.get_mut(&device).filter(|_| is_empty) {
            device.pop();
        }
        Ok((stored.len(), is_empty))
    }

    /// A frame for the Ethernet that a filter is bound to: it arrives at the other of the pair.
    pub(crate) fn write_filter(&mut self, device: u64, frame: &[u8]) -> Result<usize, i32> {
        let far = self.of_device(device).ok_or(ENXIO)?;
        let (is_up, mtu, near) = (far.is_up(), far.mtu as usize, far.peer);
        match frame.len() {
            _ if !is_up => return Err(ENETDOWN),
            // Source: `bpfwrite`, `bpf_movein` of macOS 14 and later (XNU 11417): no minimum, and a VLAN tag
            // more than the MTU. Up to 13: more than 2048 is EIO, and so is less than a header.
            length if length > mtu + ETHERNET + VLAN_TAG => return Err(EMSGSIZE),
            _ => {}
        }
        let is_complete = self.filter_mut(device).is_some_and(|filter| filter.is_complete);
        assert!(is_complete, "a filter that writes source addresses is not modelled");
        // Assumed: what arrives while it is down goes no further, and what is no frame neither.
        let near = near.and_then(|near| self.indexed_mut(near));
        if let Some(near) = near.filter(|near| near.is_up() && frame.len() >= ETHERNET) {
            near.taken.push_back(frame.to_vec());
        }
        Ok(frame.len())
    }
}
