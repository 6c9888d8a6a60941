//! System calls to a model, with the crate's own arguments, and errnos for errors.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;

use tunctl_bsd::{Family, ListedAddress, Syscalls};
use tunctl_sys::bsd::{Abi, Name, Request, dragonfly, freebsd, macos, netbsd, openbsd};

use crate::models::{Handle, Model, System};

pub(crate) const SYSTEMS: [System; 5] =
    [System::FreeBsd, System::NetBsd, System::OpenBsd, System::DragonFly, System::MacOs];

/// The start of a packet of each version, with a distinct last byte.
pub(crate) const V4: &[u8] = &[0x45, 0, 0, 4];
pub(crate) const V6: &[u8] = &[0x60, 0, 0, 6];
pub(crate) const FRAME: &[u8] = &[0xff; 60];

pub(crate) const UP: u32 = 0x1;
pub(crate) const BROADCAST: u32 = 0x2;
pub(crate) const POINTOPOINT: u32 = 0x10;
pub(crate) const MULTICAST: u32 = 0x8000;

pub(crate) type Answer<T = ()> = Result<T, i32>;

pub(crate) struct Fixture {
    pub(crate) model: Model,
    pub(crate) abi: Abi,
}

impl Deref for Fixture {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

pub(crate) fn errno(error: io::Error) -> i32 {
    error.raw_os_error().expect("an error of a model has an errno")
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).expect("a name")
}

pub(crate) fn v4(text: &str) -> Ipv4Addr {
    text.parse().expect("an IPv4 address")
}

/// What is listed for a point-to-point interface.
pub(crate) fn peered(address: &str, prefix_length: u8, destination: &str) -> ListedAddress {
    let destination = Some(IpAddr::V4(v4(destination)));
    ListedAddress { address: v4(address).into(), prefix_length, destination, broadcast: None }
}

impl Fixture {
    pub(crate) fn new(system: System) -> Self {
        let abi = match system {
            System::NetBsd => netbsd::ABI,
            System::OpenBsd => openbsd::ABI,
            System::DragonFly => dragonfly::ABI,
            System::MacOs => macos::ABI,
            _ => freebsd::ABI,
        };
        Self { model: Model::new(system), abi }
    }

    /// A tun, however this system makes one.
    pub(crate) fn tun(&self) -> Handle {
        let tun = match self.system() {
            System::MacOs => self.model.connect(macos::UTUN_CONTROL_NAME, 1),
            _ => self.model.open("/dev/tun0"),
        };
        tun.expect("a tun")
    }

    /// What the tun is called.
    pub(crate) fn tun_name(&self) -> &'static str {
        if self.system() == System::MacOs { "utun0" } else { "tun0" }
    }

    /// `errno`, or it was opened, and is closed again.
    pub(crate) fn opens(&self, path: &str) -> Answer {
        self.model.open(path).map(drop).map_err(errno)
    }

    pub(crate) fn open(&self, path: &str) -> Handle {
        self.model.open(path).expect("a device that can be opened")
    }

    /// The family of the socket for a request: NetBSD's SIOCALIFADDR needs a link-level socket.
    fn family_of(&self, request: Request) -> Family {
        if self.abi.requests.set_link_address == Some(request) { Family::Link } else { Family::V4 }
    }

    pub(crate) fn request(&self, request: Request, mut argument: Vec<u8>) -> Answer<Vec<u8>> {
        self.model.configure(self.family_of(request), request, &mut argument).map_err(errno)?;
        Ok(argument)
    }

    pub(crate) fn create(&self, of: &str) -> Answer<Vec<u8>> {
        let answer = self.request(self.abi.requests.create, self.abi.ifreq(&name(of)))?;
        Ok(Name::parse(&answer).map(|name| name.as_bytes().to_vec()).unwrap_or_default())
    }

    pub(crate) fn destroy(&self, of: &str) -> Answer {
        self.request(self.abi.requests.destroy, self.abi.ifreq(&name(of))).map(drop)
    }

    pub(crate) fn set_flags(&self, of: &str, flags: u32) -> Answer {
        self.request(self.abi.requests.set_flags, self.abi.ifreq_flags(&name(of), flags)).map(drop)
    }

    pub(crate) fn flags(&self, of: &str) -> Answer<u32> {
        let answer = self.request(self.abi.requests.get_flags, self.abi.ifreq(&name(of)))?;
        Ok(self.abi.flags(&answer).expect("flags"))
    }

    pub(crate) fn set_mtu(&self, of: &str, mtu: u32) -> Answer {
        self.request(self.abi.requests.set_mtu, self.abi.ifreq_mtu(&name(of), mtu)).map(drop)
    }

    pub(crate) fn add(&self, to: &str, address: &str, other: Option<&str>, mask: &str) -> Answer {
        let argument = self.abi.alias_v4(&name(to), v4(address), other.map(v4), v4(mask));
        self.request(self.abi.requests.add_address, argument).map(drop)
    }

    /// 10.0.0.1 with its peer 10.0.0.2.
    pub(crate) fn add_peer(&self, to: &str) {
        self.add(to, "10.0.0.1", Some("10.0.0.2"), "255.255.255.255").expect("an address");
    }

    pub(crate) fn delete(&self, from: &str, address: &str) -> Answer {
        self.request(self.abi.requests.delete_address, self.abi.delete_v4(&name(from), v4(address))).map(drop)
    }

    pub(crate) fn add_v6(&self, to: &str, address: &str, prefix: u8, flags: u32) -> Answer {
        let address = address.parse().expect("an IPv6 address");
        let mut argument = self.abi.alias_v6(&name(to), address, None, prefix, flags);
        self.model.configure(Family::V6, self.abi.requests.add_address_v6, &mut argument).map_err(errno)
    }

    pub(crate) fn ioctl(&self, of: &Handle, request: Request, mut argument: Vec<u8>) -> Answer<Vec<u8>> {
        self.model.ioctl(of, request, &mut argument).map_err(errno)?;
        Ok(argument)
    }

    pub(crate) fn set(&self, of: &Handle, request: Option<Request>, value: i32) -> Answer {
        let request = request.expect("a request of this system");
        self.ioctl(of, request, value.to_ne_bytes().to_vec()).map(drop)
    }

    pub(crate) fn get(&self, of: &Handle, request: Option<Request>) -> Answer<i32> {
        let answer = self.ioctl(of, request.expect("a request of this system"), vec![0; 4])?;
        Ok(i32::from_ne_bytes(*answer.first_chunk().expect("an int")))
    }

    /// Reads without waiting.
    pub(crate) fn read(&self, from: &Handle) -> Answer<Vec<u8>> {
        self.model.set_nonblocking(from).map_err(errno)?;
        let mut buffer = vec![0; 70_000];
        let length = self.model.read(from, &mut [IoSliceMut::new(&mut buffer)]).map_err(errno)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    pub(crate) fn write(&self, to: &Handle, front: &[u8], packet: &[u8]) -> Answer<usize> {
        self.model.write(to, &[IoSlice::new(front), IoSlice::new(packet)]).map_err(errno)
    }
}
