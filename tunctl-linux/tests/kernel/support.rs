//! What the cases share.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use tunctl_core::{CreateOptions, Error, InterfaceAddress, InterfaceName, TunBackend, TunDevice};
use tunctl_linux::{LinuxBackend, LinuxDevice};
use tunctl_packet::{Layer, Packet};
use tunctl_sys::linux::{InterfaceRequest, tun};
use tunctl_testing::OPEN_NODE;
pub(crate) use tunctl_testing::{driver_report, exists, has_flag, others};

pub(crate) fn backend() -> LinuxBackend {
    LinuxBackend::new()
}

pub(crate) fn tun(name: &str) -> LinuxDevice {
    create(CreateOptions::tun(), name)
}

pub(crate) fn tap(name: &str) -> LinuxDevice {
    create(CreateOptions::tap(), name)
}

pub(crate) fn create(options: CreateOptions, name: &str) -> LinuxDevice {
    backend().create(&options.name(name)).unwrap()
}

pub(crate) fn open(options: CreateOptions, name: &str) -> tunctl_core::Result<LinuxDevice> {
    backend().open(&options.name(name))
}

pub(crate) fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

pub(crate) fn address(text: &str) -> InterfaceAddress {
    text.parse().unwrap()
}

/// The error of what should have failed.
#[track_caller]
pub(crate) fn refused<T, E: Into<Error>>(outcome: Result<T, E>) -> Error {
    match outcome {
        Ok(_) => panic!("it succeeded"),
        Err(error) => error.into(),
    }
}

/// The kernel's own answer to `TUNSETIFF`, without the library: the open file and the name, or the errno.
pub(crate) fn ask_kernel(name: &[u8], flags: u16) -> io::Result<(File, Vec<u8>)> {
    let file = OpenOptions::new().read(true).write(true).open(OPEN_NODE)?;
    let mut request = InterfaceRequest::new(name, flags).expect("the name has at most 15 bytes");
    tun::set_iff(file.as_fd(), &mut request)?;
    Ok((file, request.name().to_vec()))
}

/// Switches IPv6 off, so that the kernel sends nothing of its own.
pub(crate) fn without_ipv6() {
    for scope in ["all", "default"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1").unwrap();
    }
}

/// A socket of the kernel's, bound to an address of the interface, once the kernel has made up its mind about
/// it: a new IPv6 address is tentative for a moment.
pub(crate) fn socket(address: &str) -> UdpSocket {
    let started = Instant::now();
    let socket = loop {
        match UdpSocket::bind(address) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrNotAvailable && started.elapsed().as_secs() < 10 =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            bound => break bound.unwrap(),
        }
    };
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// A tun that is up with 10.77.0.1/24, in a namespace without IPv6, and a socket bound to that address.
pub(crate) fn quiet_tun(options: CreateOptions) -> (LinuxDevice, UdpSocket) {
    without_ipv6();
    let device = create(options, "tun0");
    device.up(address("10.77.0.1/24")).unwrap();
    (device, socket("10.77.0.1:0"))
}

/// The payload of a UDP packet as the device delivers it.
pub(crate) fn udp_payload(packet: &[u8]) -> &[u8] {
    let packet = Packet::parse(Layer::Tun, packet).unwrap();
    assert_eq!(packet.protocol().to_string(), "UDP");
    packet.payload()
}
