//! Real TCP and UDP through a pump, between two namespaces.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use tunctl_core::{Bulk, CreateOptions, Mtu, Offloads, TunBackend};
use tunctl_linux::{LinuxBackend, LinuxDevice, Namespace};
use tunctl_packet::header::{Endian, VnetFormat, VnetLength};
use tunctl_pump::{Pump, Traffic, Verdict, Wire};
use tunctl_testing::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(tcp_passes_whole_at_every_mtu_and_many_packets_a_call),
        case!(tcp_passes_whole_through_a_relay),
        case!(tcp_passes_whole_without_offload),
        case!(tcp_passes_whole_between_a_device_with_offload_and_one_without),
        case!(tcp_passes_whole_through_a_tap),
        case!(tcp_passes_whole_by_several_queues),
        case!(tcp_passes_whole_over_a_wire_that_loses_and_reorders),
        case!(damaged_packets_are_caught),
        case!(datagrams_pass_as_they_were_sent),
        case!(a_hook_sees_packets_no_longer_than_the_mtu),
        case!(vxlan_passes_whole_and_many_packets_a_call).needs_tool("ip"),
    ]
}

type Joined = Pump<LinuxDevice, LinuxDevice>;

/// Two namespaces, and the pump that joins them.
struct Bench {
    namespaces: [Namespace; 2],
    offloads: Offloads,
    pump: Joined,
}

/// Interrupts also where a test fails, which would wait for ever otherwise.
struct Stop<'a>(&'a Joined);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.interrupter().interrupt();
    }
}

const HOSTS: [[&str; 2]; 2] = [["10.77.0.1", "10.77.0.2"], ["fd77::1", "fd77::2"]];

impl Bench {
    fn new(options: [CreateOptions; 2], queues: usize, wire: Wire) -> Self {
        Self::of_hosts(&HOSTS, options, queues, wire)
    }

    fn of_hosts(hosts: &[[&str; 2]], options: [CreateOptions; 2], queues: usize, wire: Wire) -> Self {
        let namespaces = [Namespace::new().unwrap(), Namespace::new().unwrap()];
        for namespace in &namespaces {
            // An address of a tap cannot be used before the kernel knows that nobody else has it.
            let settle = || fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
            namespace.run(settle).unwrap();
        }
        let [one, other] = [0, 1].map(|side: usize| {
            let backend = LinuxBackend::new().in_namespace(&namespaces[side]).unwrap();
            let options = hosts.iter().fold(options[side].clone().name("tun0"), |options, hosts| {
                let length = if hosts[side].contains(':') { 64 } else { 24 };
                options.address(format!("{}/{length}", hosts[side]))
            });
            let devices = if queues == 1 {
                vec![backend.create(&options.up()).unwrap()]
            } else {
                backend.create_queues(&options.up(), queues).unwrap()
            };
            Bulk::of_queues(devices).unwrap()
        });
        let offloads = one[0].offloads();
        Self { namespaces, offloads, pump: Pump::new(one, other).unwrap().with_wire(wire) }
    }

    /// Both sides alike.
    fn alike(options: &CreateOptions) -> Self {
        Self::new([options.clone(), options.clone()], 1, Wire::new())
    }

    /// Works while the pump runs.
    fn run<T: Send>(&self, pump: impl FnOnce(&Joined) + Send, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            let running = scope.spawn(|| pump(&self.pump));
            let stop = Stop(&self.pump);
            let result = work();
            drop(stop);
            running.join().unwrap();
            result
        })
    }

    fn listen(&self, side: usize, address: &str) -> (TcpListener, SocketAddr) {
        let address: IpAddr = address.parse().unwrap();
        let bind = || TcpListener::bind((address, 0)).unwrap();
        let listener = self.namespaces[side].run(bind).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn connect(&self, side: usize, to: SocketAddr) -> TcpStream {
        let connect = || TcpStream::connect_timeout(&to, Duration::from_secs(30)).unwrap();
        self.namespaces[side].run(connect).unwrap()
    }

    fn datagrams(&self, side: usize, address: &str) -> UdpSocket {
        let address: IpAddr = address.parse().unwrap();
        let socket = self.namespaces[side].run(|| UdpSocket::bind((address, 0)).unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket
    }

    /// Sends so many bytes each way, at once, and compares what arrives.
    fn exchange(&self, hosts: [&str; 2], bytes: usize) {
        let (listener, address) = self.listen(1, hosts[1]);
        let client = self.connect(0, address);
        let (server, _) = listener.accept().unwrap();
        thread::scope(|scope| {
            for (stream, seed) in [(&client, 1), (&server, 2)] {
                scope.spawn(move || send(stream, seed, bytes));
            }
            for (stream, seed) in [(&client, 2), (&server, 1)] {
                scope.spawn(move || compare(stream, seed, bytes));
            }
        });
    }
}

/// Bytes in which no part is like another.
fn stream(seed: u32) -> impl Iterator<Item = u8> {
    (0_u32..)
        .flat_map(move |n| (n ^ seed << 28).wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes())
}

fn send(mut socket: &TcpStream, seed: u32, bytes: usize) {
    socket.set_nodelay(true).unwrap();
    let all: Vec<u8> = stream(seed).take(bytes).collect();
    socket.write_all(&all).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
}

fn compare(mut socket: &TcpStream, seed: u32, bytes: usize) {
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut arrived = Vec::with_capacity(bytes);
    socket.read_to_end(&mut arrived).unwrap();
    assert!(arrived.len() == bytes && arrived.into_iter().eq(stream(seed).take(bytes)));
}

fn large() -> CreateOptions {
    CreateOptions::tun().vnet_header(true)
}

/// A path that silently falls back to single packets passes every other test.
fn assert_many_packets_a_call(traffic: [Traffic; 2]) {
    for Traffic { received, receive_calls, sent, send_calls, lost, .. } in traffic {
        // Acknowledgements are packets of their own.
        assert!(received > 2 * receive_calls && sent > 2 * send_calls, "{traffic:?}");
        assert_eq!(lost, 0, "{traffic:?}");
    }
}

fn run(pump: &Joined) {
    pump.run().unwrap();
}

fn tcp_passes_whole_at_every_mtu_and_many_packets_a_call() {
    for mtu in [576, 1280, 1500, 9000] {
        let mtu = Mtu::new(mtu).unwrap();
        let hosts = if mtu.carries_ipv6() { &HOSTS[..] } else { &HOSTS[..1] };
        let options = large().mtu(mtu);
        let bench = Bench::of_hosts(hosts, [options.clone(), options], 1, Wire::new());
        bench.run(run, || hosts.iter().for_each(|hosts| bench.exchange(*hosts, 2 << 20)));
        assert_many_packets_a_call(bench.pump.traffic());
    }
}

fn tcp_passes_whole_through_a_relay() {
    let bench = Bench::alike(&large());
    let relay = |pump: &Joined| pump.relay().unwrap();
    bench.run(relay, || HOSTS.map(|hosts| bench.exchange(hosts, 4 << 20)));
    let [forth, back] = bench.pump.traffic();
    for Traffic { sent, bytes, .. } in [forth, back] {
        assert!(bytes / sent > 3000, "{forth:?} {back:?}");
    }
}

fn tcp_passes_whole_without_offload() {
    let bench = Bench::alike(&CreateOptions::tun());
    bench.run(run, || HOSTS.map(|hosts| bench.exchange(hosts, 1 << 20)));
    for Traffic { received, receive_calls, sent, send_calls, .. } in bench.pump.traffic() {
        assert_eq!((received, sent), (receive_calls, send_calls));
    }
}

fn tcp_passes_whole_between_a_device_with_offload_and_one_without() {
    let bench = Bench::new([large(), CreateOptions::tun()], 1, Wire::new());
    bench.run(run, || HOSTS.map(|hosts| bench.exchange(hosts, 2 << 20)));
    let [forth, back] = bench.pump.traffic();
    assert!(forth.received > 2 * forth.receive_calls && forth.sent == forth.send_calls, "{forth:?}");
    assert!(back.received == back.receive_calls && back.sent > back.send_calls, "{back:?}");
}

fn tcp_passes_whole_through_a_tap() {
    let bench = Bench::alike(&CreateOptions::tap().vnet_header(true));
    bench.run(run, || HOSTS.map(|hosts| bench.exchange(hosts, 2 << 20)));
    assert_many_packets_a_call(bench.pump.traffic());
}

fn tcp_passes_whole_by_several_queues() {
    let options = large().multi_queue(true);
    let bench = Bench::new([options.clone(), options], 2, Wire::new());
    bench.run(run, || {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| bench.exchange(HOSTS[0], 2 << 20));
            }
        });
    });
    assert_many_packets_a_call(bench.pump.traffic());
}

fn tcp_passes_whole_over_a_wire_that_loses_and_reorders() {
    let wire = Wire::new().loss(0.005).reordering(0.01).delay(Duration::from_micros(200)).seed(7);
    let bench = Bench::new([large(), large()], 1, wire);
    bench.run(run, || HOSTS.map(|hosts| bench.exchange(hosts, 2 << 20)));
    let [forth, back] = bench.pump.traffic();
    assert!(forth.dropped > 0 && back.dropped > 0, "{forth:?} {back:?}");
}

/// What is merged gets a new checksum from the kernel that cuts it again: a packet that was damaged before
/// must not come out right.
fn damaged_packets_are_caught() {
    let bench = Bench::new([large(), large()], 1, Wire::new().corruption(0.02).seed(11));
    bench.run(run, || {
        for hosts in HOSTS {
            bench.exchange(hosts, 1 << 20);
            let [from, to] = [bench.datagrams(0, hosts[0]), bench.datagrams(1, hosts[1])];
            let whole: Vec<u8> = stream(3).take(1200).collect();
            let mut arrived = 0;
            for number in 0_u16..500 {
                let datagram = [&number.to_be_bytes(), &whole[..]].concat();
                from.send_to(&datagram, to.local_addr().unwrap()).unwrap();
                let mut buffer = [0; 2000];
                to.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                while let Ok(length) = to.recv(&mut buffer) {
                    assert_eq!(buffer[2..length], whole);
                    arrived += 1;
                    if buffer[..2] == number.to_be_bytes() {
                        break;
                    }
                }
            }
            assert!((400..500).contains(&arrived), "{arrived}");
        }
    });
}

fn datagrams_pass_as_they_were_sent() {
    let bench = Bench::alike(&large());
    bench.run(run, || {
        for hosts in HOSTS {
            let [from, to] = [bench.datagrams(0, hosts[0]), bench.datagrams(1, hosts[1])];
            let mut buffer = [0; 70_000];
            // Those longer than the MTU are fragments on the way.
            for length in [0, 1, 100, 1452, 1472, 3000, 20_000] {
                let datagram: Vec<u8> = stream(4).take(length).collect();
                from.send_to(&datagram, to.local_addr().unwrap()).unwrap();
                let (arrived, sender) = to.recv_from(&mut buffer).unwrap();
                assert_eq!((&buffer[..arrived], sender), (&datagram[..], from.local_addr().unwrap()));
            }
        }
    });
}

fn a_hook_sees_packets_no_longer_than_the_mtu() {
    let bench = Bench::alike(&large());
    let watched = |pump: &Joined| {
        pump.run_with(&|_, packet: &mut [u8]| {
            assert!(packet.len() <= 1500, "{}", packet.len());
            Verdict::Pass
        })
        .unwrap();
    };
    bench.run(watched, || bench.exchange(HOSTS[0], 4 << 20));
}

fn vxlan_passes_whole_and_many_packets_a_call() {
    let with_room = VnetFormat::new(VnetLength::Tunnel, Endian::Native);
    for format in [with_room, VnetFormat::default()] {
        let bench = Bench::alike(&CreateOptions::tun().vnet_format(format));
        for (side, namespace) in bench.namespaces.iter().enumerate() {
            let far = HOSTS[0][1 - side];
            for command in [
                format!("link add vx0 type vxlan id 5 remote {far} dstport 4789 dev tun0"),
                format!("address add 10.88.0.{}/24 dev vx0", side + 1),
                "link set vx0 up".into(),
            ] {
                assert!(
                    namespace.command("ip").args(command.split(' ')).status().unwrap().success(),
                    "{command}"
                );
            }
        }
        bench.run(run, || bench.exchange(["10.88.0.1", "10.88.0.2"], 4 << 20));
        let [forth, back] = bench.pump.traffic();
        for Traffic { received, receive_calls, lost, .. } in [forth, back] {
            assert_eq!(lost, 0, "{forth:?} {back:?}");
            // A kernel before 6.17 cuts what is in a tunnel before it hands it over.
            if bench.offloads.contains(Offloads::UDP_TUNNEL) {
                assert!(received > 2 * receive_calls, "{forth:?} {back:?}");
            }
        }
    }
}
