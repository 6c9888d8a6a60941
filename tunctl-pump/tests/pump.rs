//! The pump between devices of the mock.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is how to fail")]

use std::thread;
use std::time::Duration;

use tunctl_core::{Bulk, Cause, CreateOptions, Error, Operation, State, TunBackend, TunDevice};
use tunctl_mock::{Errno, Fault, MockBackend, MockDevice};
use tunctl_packet::header::{Endian, GsoType, VnetFormat, VnetHeader, VnetLength};
use tunctl_packet::udp_packet;
use tunctl_pump::{Direction, Pump, Verdict, Wire};

const SOON: Duration = Duration::from_secs(10);

fn bulk(kernel: &MockBackend, options: CreateOptions, name: &str) -> Bulk<MockDevice> {
    kernel.create(&options.name(name).up()).unwrap().into_bulk().unwrap()
}

fn pump(kernel: &MockBackend) -> Pump<MockDevice, MockDevice> {
    let make = |name| vec![bulk(kernel, CreateOptions::tun().vnet_header(true), name)];
    Pump::new(make("one"), make("other")).unwrap()
}

/// Datagrams of different flows, which nothing merges.
fn datagram(number: u16) -> Vec<u8> {
    let from = format!("10.0.0.1:{}", 1000 + number).parse().unwrap();
    udp_packet(from, "10.0.0.2:9".parse().unwrap(), &number.to_be_bytes()).unwrap()
}

/// Interrupts also where a test fails, which would wait for ever otherwise.
struct Stop<'a>(&'a Pump<MockDevice, MockDevice>);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.interrupter().interrupt();
    }
}

/// What arrives while a pump runs.
fn while_it_runs<T: Send>(pump: &Pump<MockDevice, MockDevice>, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let running = scope.spawn(|| pump.run());
        let stop = Stop(pump);
        let result = work();
        drop(stop);
        running.join().unwrap().unwrap();
        result
    })
}

#[test]
fn packets_pass_both_ways_in_order() {
    let kernel = MockBackend::new();
    let pump = pump(&kernel);
    while_it_runs(&pump, || {
        for (from, to) in [("one", "other"), ("other", "one")] {
            for number in 0..200 {
                kernel.inject(from, datagram(number));
            }
            for number in 0..200 {
                assert_eq!(kernel.take_within(to, SOON).unwrap(), datagram(number));
            }
        }
    });
    for traffic in pump.traffic() {
        assert_eq!((traffic.received, traffic.sent, traffic.lost, traffic.dropped), (200, 200, 0, 0));
        assert_eq!(traffic.bytes, 200 * 30);
    }
    let (one, other) = pump.into_devices().unwrap();
    assert!(one[0].offloads().unwrap().is_empty() && other[0].offloads().unwrap().is_empty());
}

#[test]
fn a_hook_sees_changes_and_drops_packets() {
    let kernel = MockBackend::new();
    let pump = pump(&kernel);
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            pump.run_with(&|direction, packet: &mut [u8]| {
                assert_eq!(direction, Direction::Forth);
                packet[8] = 1;
                if packet[29] % 2 == 0 { Verdict::Pass } else { Verdict::Drop }
            })
        });
        for number in 0..10 {
            kernel.inject("one", datagram(number));
        }
        for number in [0, 2, 4, 6, 8] {
            let mut expected = datagram(number);
            expected[8] = 1;
            assert_eq!(kernel.take_within("other", SOON).unwrap(), expected);
        }
        pump.interrupter().interrupt();
        running.join().unwrap().unwrap();
    });
    assert_eq!((pump.traffic()[0].sent, pump.traffic()[0].dropped), (5, 5));
}

#[test]
fn a_wire_loses_by_its_seed_and_each_direction_other_packets() {
    let kernel = MockBackend::new();
    let pump = pump(&kernel).with_wire(Wire::new().loss(0.5).seed(3));
    let arrived = while_it_runs(&pump, || {
        [("one", "other"), ("other", "one")].map(|(from, to)| {
            for number in 0..100 {
                kernel.inject(from, datagram(number));
            }
            let mut arrived = Vec::new();
            while let Some(packet) = kernel.take_within(to, Duration::from_millis(200)) {
                arrived.push(packet);
            }
            arrived
        })
    });
    assert_ne!(arrived[0], arrived[1]);
    for (traffic, arrived) in pump.traffic().iter().zip(&arrived) {
        assert!((30..70).contains(&arrived.len()));
        assert_eq!((traffic.sent, traffic.dropped), (arrived.len() as u64, 100 - arrived.len() as u64));
    }
}

#[test]
fn a_wire_without_delay_has_room_for_any_batch() {
    let kernel = MockBackend::new();
    let pump = pump(&kernel).with_wire(Wire::new().loss(f64::MIN_POSITIVE));
    let large = large_datagram();
    for _ in 0..30 {
        kernel.inject_large("one", &large.0, &large.1);
    }
    while_it_runs(&pump, || {
        for _ in 0..30 * 64 {
            assert_eq!(kernel.take_within("other", SOON).unwrap().len(), 44);
        }
    });
    let traffic = pump.traffic()[0];
    assert_eq!((traffic.received, traffic.sent, traffic.dropped), (1920, 1920, 0));
}

/// One that stands for 64 of 16 bytes.
fn large_datagram() -> (VnetHeader, Vec<u8>) {
    let (from, to) = ("10.0.0.1:1000".parse().unwrap(), "10.0.0.2:9".parse().unwrap());
    let mut packet = udp_packet(from, to, &[7; 1024]).unwrap();
    // The sum of the pseudo-header: 0x0a00 + 1 + 0x0a00 + 2 + 17 + 1,032.
    packet[26..28].copy_from_slice(&0x181c_u16.to_be_bytes());
    (VnetHeader::default().with_checksum(20, 6).with_segments(GsoType::UdpL4, 16), packet)
}

#[test]
fn what_is_lost_at_the_other_side_is_not_sent() {
    let kernel = MockBackend::new();
    let pump = pump(&kernel);
    kernel.set_state("other", State::Down);
    while_it_runs(&pump, || {
        for number in 0..10 {
            kernel.inject("one", datagram(number));
        }
        while pump.traffic()[0].lost < 10 {
            thread::yield_now();
        }
    });
    let traffic = pump.traffic()[0];
    assert_eq!((traffic.sent, traffic.bytes, traffic.lost), (0, 0, 10));
}

#[test]
fn a_hook_that_panics_ends_the_pump() {
    let kernel = MockBackend::new();
    let pump = pump(&kernel);
    thread::scope(|scope| {
        let running = scope.spawn(|| pump.run_with(&|_, _: &mut [u8]| panic!("on purpose")));
        kernel.inject("one", datagram(1));
        assert!(running.join().is_err());
    });
}

#[test]
fn a_send_that_waits_is_interrupted() {
    let kernel = MockBackend::new();
    let pump = pump(&kernel);
    kernel.set_state("other", State::Down);
    kernel.script(Fault::on(Operation::Send).errno(Errno::EAGAIN));
    thread::scope(|scope| {
        let running = scope.spawn(|| pump.run());
        let stop = Stop(&pump);
        kernel.inject("one", datagram(1));
        while kernel.pending_faults() > 0 {
            thread::yield_now();
        }
        drop(stop);
        running.join().unwrap().unwrap();
    });
    assert_eq!((pump.traffic()[0].sent, pump.traffic()[0].dropped), (0, 1));
}

#[test]
fn a_second_run_counts_on() {
    let kernel = MockBackend::new();
    let pump = pump(&kernel);
    for total in [1, 2] {
        pump.interrupter().reset();
        while_it_runs(&pump, || {
            kernel.inject("one", datagram(total));
            assert_eq!(kernel.take_within("other", SOON).unwrap(), datagram(total));
        });
        assert_eq!(pump.traffic()[0].sent, u64::from(total));
    }
}

#[test]
fn a_relay_passes_what_it_received() {
    let kernel = MockBackend::new();
    let pump = pump(&kernel);
    thread::scope(|scope| {
        let running = scope.spawn(|| pump.relay());
        kernel.inject("one", datagram(1));
        assert_eq!(kernel.take_within("other", SOON).unwrap(), datagram(1));
        pump.interrupter().interrupt();
        running.join().unwrap().unwrap();
    });
}

#[test]
fn it_ends_when_an_interface_is_gone() {
    let kernel = MockBackend::new();
    let pump = pump(&kernel);
    thread::scope(|scope| {
        let running = scope.spawn(|| pump.run());
        kernel.delete("other");
        assert!(running.join().unwrap().unwrap_err().is_gone());
    });
}

#[test]
fn what_cannot_be_joined_is_refused() {
    let kernel = MockBackend::new();
    let cause = |outcome: Result<_, Error>| outcome.map(drop).unwrap_err().cause();
    let tun = bulk(&kernel, CreateOptions::tun(), "tun0");
    let tap = bulk(&kernel, CreateOptions::tap(), "tap0");
    assert_eq!(cause(Pump::new(vec![tun], vec![tap])), Cause::InvalidValue);
    let tun = bulk(&kernel, CreateOptions::tun(), "tun1");
    assert_eq!(cause(Pump::new(vec![tun], Vec::<Bulk<MockDevice>>::new())), Cause::InvalidValue);
    let bare = bulk(&kernel, CreateOptions::tun(), "tun2");
    let large = bulk(&kernel, CreateOptions::tun().vnet_header(true), "tun3");
    let pump = Pump::new(vec![bare], vec![large]).unwrap();
    assert_eq!(pump.relay().unwrap_err().cause(), Cause::InvalidValue);
    // Linux sends no packets in UDP tunnels many at a time from a tun, but from a tap.
    let format = VnetFormat::new(VnetLength::Tunnel, Endian::Native);
    let pair = |layer: CreateOptions, names: [&str; 2]| {
        let [one, other] = names.map(|name| vec![bulk(&kernel, layer.clone().vnet_format(format), name)]);
        Pump::new(one, other).unwrap()
    };
    let tuns = pair(CreateOptions::tun(), ["tun4", "tun5"]);
    assert_eq!(tuns.relay().unwrap_err().cause(), Cause::InvalidValue);
    let taps = pair(CreateOptions::tap(), ["tap4", "tap5"]);
    taps.interrupter().interrupt();
    taps.relay().unwrap();
}

#[test]
fn one_run_at_a_time() {
    let kernel = MockBackend::new();
    let pump = pump(&kernel);
    while_it_runs(&pump, || {
        kernel.inject("one", datagram(1));
        assert_eq!(kernel.take_within("other", SOON).unwrap(), datagram(1));
        for refused in [pump.run(), pump.relay()] {
            assert_eq!(refused.unwrap_err().cause(), Cause::Busy);
        }
        kernel.inject("one", datagram(2));
        assert_eq!(kernel.take_within("other", SOON).unwrap(), datagram(2));
    });
    pump.interrupter().reset();
    while_it_runs(&pump, || ());
}
