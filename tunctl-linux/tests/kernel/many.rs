//! Many interfaces: how many system calls they take, beside the least that does the same.

use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendmsg, socket,
};
use tunctl_core::{CreateOptions, InterfaceAddress, TunBackend, TunDevice};
use tunctl_linux::LinuxDevice;
use tunctl_sys::linux::{InterfaceRequest, iff, tun};
use tunctl_testing::{Case, OPEN_NODE, Strace, Trace, case, ip_json, mark};

use super::support::{backend, others};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(many_interfaces_take_little_more_than_the_raw_calls)
            .entry("ours", ours)
            .entry("raw", raw)
            .needs_tool("strace"),
    ]
}

/// How many, by the environment.
fn count() -> u16 {
    std::env::var("COUNT").unwrap().parse().unwrap()
}

fn addresses_of(number: u16) -> [InterfaceAddress; 2] {
    let [high, low] = number.to_be_bytes();
    let v4 = IpAddr::from(Ipv4Addr::new(10, high, low, 1));
    let v6 = IpAddr::from(Ipv6Addr::new(0xfd77, number, 0, 0, 0, 0, 0, 1));
    [InterfaceAddress::new(v4, 24).unwrap(), InterfaceAddress::new(v6, 64).unwrap()]
}

/// The processor's time that this thread has taken, in nanoseconds.
fn used() -> u64 {
    let report = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    report.split_whitespace().next().unwrap().parse().unwrap()
}

/// Says how much of the processor's time it was, in microseconds.
fn report(nanoseconds: u64) {
    println!("{}", nanoseconds / 1000);
}

fn ours() {
    mark("create");
    let before = used();
    let devices: Vec<LinuxDevice> = (0..count())
        .map(|number| {
            let options = CreateOptions::tun().name("many%d").mtu(1400).up();
            let [v4, v6] = addresses_of(number);
            backend().create(&options.address(v4).address(v6)).unwrap()
        })
        .collect();
    mark("list");
    assert_eq!(backend().interfaces().unwrap().len(), devices.len());
    mark("look");
    let made = used() - before;
    assert_made();
    let before = used();
    mark("delete");
    for device in devices {
        device.destroy().unwrap();
    }
    mark("done");
    report(made + used() - before);
}

/// That the two have made the same.
fn assert_made() {
    let made = ip_json("address show up");
    let made: Vec<_> = made.iter().filter(|interface| interface["ifname"] != "lo").collect();
    assert_eq!(made.len(), usize::from(count()));
    for interface in made {
        assert_eq!(interface["mtu"], 1400, "{interface}");
        let held = interface["addr_info"].as_array().unwrap();
        assert_eq!(held.iter().filter(|address| address["scope"] == "global").count(), 2, "{interface}");
    }
}

fn raw() {
    mark("create");
    let before = used();
    let mut netlink = Raw::open();
    let files: Vec<(File, u32)> = (0..count()).map(|number| create_raw(&mut netlink, number)).collect();
    mark("list");
    assert!(netlink.list() >= files.len());
    mark("look");
    let made = used() - before;
    assert_made();
    let before = used();
    mark("delete");
    for (file, index) in files {
        netlink.exchange(Raw::DELLINK, Raw::ACK, &link(index, 0, 0));
        drop(file);
    }
    mark("done");
    report(made + used() - before);
}

fn create_raw(netlink: &mut Raw, number: u16) -> (File, u32) {
    let nonblock = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().read(true).write(true).custom_flags(nonblock).open(OPEN_NODE).unwrap();
    let mut request = InterfaceRequest::new(b"many%d", iff::TUN | iff::NO_PI | iff::TUN_EXCL).unwrap();
    tun::set_iff(file.as_fd(), &mut request).unwrap();
    let mut question = link(0, 0, 0);
    attach(&mut question, 3, &[request.name(), &[0]].concat());
    let answer = netlink.exchange(Raw::GETLINK, 0, &question);
    let index = u32::from_ne_bytes(answer[20..24].try_into().unwrap());
    let mut change = link(index, 1, 1);
    attach(&mut change, 4, &1400_u32.to_ne_bytes());
    netlink.exchange(Raw::NEWLINK, Raw::ACK, &change);
    for address in addresses_of(number) {
        let (family, bytes) = match address.address() {
            IpAddr::V4(address) => (2, address.octets().to_vec()),
            IpAddr::V6(address) => (10, address.octets().to_vec()),
        };
        // The last but one: without duplicate address detection.
        let mut new = vec![family, address.prefix_length(), 2, 0];
        new.extend(index.to_ne_bytes());
        attach(&mut new, 1, &bytes);
        attach(&mut new, 2, &bytes);
        netlink.exchange(Raw::NEWADDR, Raw::ACK | Raw::CREATE | Raw::EXCL, &new);
    }
    (file, index)
}

/// Netlink with two system calls for each question.
struct Raw {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Raw {
    const NEWLINK: u16 = 16;
    const DELLINK: u16 = 17;
    const GETLINK: u16 = 18;
    const NEWADDR: u16 = 20;
    const ACK: u16 = 0x4;
    const DUMP: u16 = 0x300;
    const EXCL: u16 = 0x200;
    const CREATE: u16 = 0x400;

    fn open() -> Self {
        let protocol = SockProtocol::NetlinkRoute;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0)).unwrap();
        Self { socket, buffer: vec![0; 1 << 16] }
    }

    fn ask(&mut self, kind: u16, flags: u16, payload: &[u8]) {
        let length = u32::try_from(16 + payload.len()).unwrap();
        let mut head = length.to_ne_bytes().to_vec();
        head.extend([kind.to_ne_bytes(), (flags | 1).to_ne_bytes()].concat());
        head.extend([0; 8]);
        let pieces = [IoSlice::new(&head), IoSlice::new(payload)];
        let kernel = NetlinkAddr::new(0, 0);
        sendmsg(self.socket.as_raw_fd(), &pieces, &[], MsgFlags::empty(), Some(&kernel)).unwrap();
    }

    fn answer(&mut self) -> &[u8] {
        let length = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty()).unwrap();
        &self.buffer[..length]
    }

    fn exchange(&mut self, kind: u16, flags: u16, payload: &[u8]) -> &[u8] {
        self.ask(kind, flags, payload);
        let answer = self.answer();
        // An acknowledgement is an error with the number 0.
        let kind = u16::from_ne_bytes([answer[4], answer[5]]);
        assert!(kind != 2 || answer[16..20] == [0; 4], "{answer:?}");
        answer
    }

    /// How many links there are.
    fn list(&mut self) -> usize {
        self.ask(Self::GETLINK, Self::DUMP, &link(0, 0, 0));
        let mut count = 0;
        loop {
            let mut rest = self.answer();
            while let [l0, l1, l2, l3, k0, k1, ..] = *rest {
                if u16::from_ne_bytes([k0, k1]) == 3 {
                    return count;
                }
                count += 1;
                let length = u32::from_ne_bytes([l0, l1, l2, l3]).next_multiple_of(4);
                rest = &rest[usize::try_from(length).unwrap().min(rest.len())..];
            }
        }
    }
}

fn link(index: u32, flags: u32, changed: u32) -> Vec<u8> {
    [0, index, flags, changed].map(u32::to_ne_bytes).concat()
}

fn attach(request: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap();
    request.extend([length.to_ne_bytes(), kind.to_ne_bytes()].concat());
    request.extend(value);
    request.resize(request.len().next_multiple_of(4), 0);
}

/// The system calls of each part, but those for memory, and those that wait until an IPv6 address is in
/// service: how many that are is chance, and the raw calls spare them.
fn calls(trace: &Trace) -> [usize; 3] {
    [("create", "list"), ("list", "look"), ("delete", "done")].map(|(from, to)| {
        let of_kernel = |name: &str| {
            !matches!(name, "brk" | "mmap" | "munmap" | "mremap" | "clock_nanosleep" | "restart_syscall")
        };
        let window = trace.between(from, to);
        let questions = window.iter().filter(|call| call.arguments.contains("RTM_GETROUTE")).count();
        window.iter().filter(|call| of_kernel(&call.name)).count() - 2 * questions
    })
}

fn many_interfaces_take_little_more_than_the_raw_calls() {
    let run = |entry: &str, count: usize| {
        let trace = Strace::new(entry).env("COUNT", &count.to_string()).run();
        assert_eq!(others(), [""; 0]);
        let calls = calls(&trace);
        println!("{entry}, {count} interfaces: {calls:?}; processor: {} us", trace.printed.trim());
        calls
    };
    let [few, many, mut raw] = [run("ours", 20), run("ours", 60), run("raw", 60)];
    // The request that attaches looks whether the node is the driver's. A program could do without.
    raw[0] -= 60;
    let [create, list, delete] = std::array::from_fn(|part| many[part]);
    // Linear: three times as many take no more than three times as much.
    assert!(create <= 3 * few[0] && list <= 3 * few[1] && delete <= 3 * few[2], "{few:?}, {many:?}");
    // To create takes no more, since the addresses go in one request. To delete takes more, for the question
    // whether it is still the same interface, and whether it is here.
    assert!(create <= raw[0], "{create} to create, beside {}", raw[0]);
    assert!(list <= raw[1] + 4, "{list} to list, beside {}", raw[1]);
    assert!(delete <= 2 * raw[2], "{delete} to delete, beside {}", raw[2]);
    let sum = |calls: &[usize; 3]| calls.iter().sum::<usize>();
    assert!(5 * sum(&many) <= 6 * sum(&raw), "{many:?}, beside {raw:?}");
}
