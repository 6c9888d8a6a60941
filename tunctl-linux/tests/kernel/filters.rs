//! Filters of taps, eBPF programs, and the interpreter of programs against the kernel's.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use tunctl_core::{Cause, CreateOptions, Filters, Interface, MacFilter, TunBackend, TunDevice};
use tunctl_linux::{LinuxDevice, netns};
use tunctl_packet::bpf::{Instruction, Problem, Program};
use tunctl_packet::{EtherType, Filter, Layer, ethernet_frame, udp_packet};
use tunctl_sys::linux::filter::FilterInstruction;
use tunctl_sys::linux::program::{ProgramInstruction, load_socket_filter};
use tunctl_sys::linux::tun;
use tunctl_testing::packets::Injector;
use tunctl_testing::{Case, case, ip, programs};

use super::support::{address, backend, create, name, refused, tap, without_ipv6};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(programs_run_in_the_kernel_as_in_the_interpreter),
        case!(the_kernel_accepts_what_the_checker_does),
        case!(the_longest_program_is_attached),
        case!(surprise_a_program_sees_no_outer_vlan_tag),
        case!(filters_need_no_capability),
        // Loading takes a capability of the whole machine, unless a sysctl permits it to everybody.
        case!(an_ebpf_program_cuts_and_drops_on_tun_and_tap).needs_root().outside_namespace(),
        case!(an_ebpf_program_chooses_the_queue).needs_root().outside_namespace(),
        case!(what_is_no_ebpf_program_is_refused),
    ]
}

/// A tap that is up, and sends nothing of its own.
fn quiet_tap() -> LinuxDevice {
    without_ipv6();
    let device = tap("tap0");
    ip("link set tap0 up");
    device
}

/// The lengths of what waits in the queue.
fn drain(device: &LinuxDevice) -> Vec<usize> {
    let mut buffer = [0; 2000];
    std::iter::from_fn(|| device.try_recv(&mut buffer).ok()).collect()
}

/// Frames of all lengths that matter, with an IPv4 header that has options, and without.
fn frames() -> Vec<Vec<u8>> {
    let frame = |length: usize, first: u8| {
        let mut frame: Vec<u8> = (0..length).map(|at| (at * 37 % 251).to_le_bytes()[0]).collect();
        frame[..15].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 8, 0, first]);
        frame
    };
    vec![frame(15, 0x45), frame(42, 0x46), frame(90, 0x4f), frame(130, 0x60)]
}

fn programs_run_in_the_kernel_as_in_the_interpreter() {
    const PROGRAMS: u64 = 3000;
    let device = quiet_tap();
    let injector = Injector::new();
    let (mut dropped, mut cut) = (0, 0);
    for number in 0..PROGRAMS {
        let program = programs::valid(1, number);
        device.attach_filter(&program).unwrap();
        for frame in frames() {
            let kept = usize::try_from(program.run(&frame)).unwrap().min(frame.len());
            let reached = injector.inject(&name("tap0"), &frame);
            let expected = if kept == 0 { vec![] } else { vec![kept] };
            assert_eq!(
                (reached, drain(&device)),
                (kept > 0, expected),
                "{number}: {program:?}, {frame:02x?}"
            );
            dropped += usize::from(kept == 0);
            cut += usize::from((1..frame.len()).contains(&kept));
        }
    }
    println!("{PROGRAMS} programs, {dropped} frames dropped, {cut} cut");
    assert!(dropped > 1000 && cut > 1000, "programs of one kind show little");
}

fn the_kernel_accepts_what_the_checker_does() {
    const PROGRAMS: u64 = 10_000;
    let device = tap("tap0");
    let mut refused = 0;
    for number in 0..PROGRAMS {
        let instructions = programs::any(1, number);
        let ours = Program::new(instructions.clone());
        let plain = |&Instruction { code, jt, jf, k }: &Instruction| FilterInstruction { code, jt, jf, k };
        let theirs = tun::attach_filter(device.as_fd(), &instructions.iter().map(plain).collect::<Vec<_>>());
        match (ours, theirs) {
            (Ok(_), Ok(served)) => assert!(served),
            // These the kernel has a meaning for.
            (Err(error), _) if error.problem == Problem::NegativeOffset => {}
            (Err(_), Err(error)) if error.raw_os_error() == Some(Errno::EINVAL as i32) => refused += 1,
            (ours, theirs) => panic!("{number}: ours {ours:?}, the kernel's {theirs:?}: {instructions:x?}"),
        }
    }
    println!("{refused} of {PROGRAMS} refused");
    assert!(refused > PROGRAMS / 10 && refused < PROGRAMS * 9 / 10);
}

fn the_longest_program_is_attached() {
    let device = quiet_tap();
    let mut instructions = vec![Instruction { code: 0x04, jt: 0, jf: 0, k: 1 }; 4095];
    instructions.push(Instruction { code: 0x16, jt: 0, jf: 0, k: 0 });
    let program = Program::new(instructions).unwrap();
    match device.attach_filter(&program) {
        Ok(()) => {}
        // Of a kernel that permits less by default (before 6.8).
        Err(error) => {
            assert_eq!(
                (error.cause(), error.raw_os_error()),
                (Cause::InvalidValue, Some(Errno::ENOMEM as i32))
            );
            assert!(error.to_string().contains("net.core.optmem_max"), "{error}");
        }
    }
    assert!(Injector::new().inject(&name("tap0"), &frames()[2]));
    assert_eq!(drain(&device), [90]);
}

fn surprise_a_program_sees_no_outer_vlan_tag() {
    let near = quiet_tap();
    let far = tap("tap1");
    ip("link add br0 type bridge");
    for port in ["tap0", "tap1"] {
        ip(&format!("link set {port} master br0"));
    }
    for interface in ["br0", "tap1"] {
        ip(&format!("link set {interface} up"));
    }
    let frame = &frames()[2];
    let tagged = [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat();
    let filter = Filter::parse(Layer::Tap, "ip and less 90").unwrap();
    far.attach_filter(filter.program()).unwrap();
    // The bridge sends it on, to all ports.
    near.send(&tagged).unwrap();
    let mut buffer = [0; 2000];
    // The bridge also asks for groups.
    let length = loop {
        let length = far.recv_timeout(&mut buffer, Duration::from_secs(10)).unwrap();
        if buffer[6..12] == tagged[6..12] {
            break length;
        }
    };
    // The program has seen a frame of 90 bytes, of IPv4, and the device has one of 94, with its tag.
    assert_eq!(buffer[..length], tagged);
    assert_eq!((frame.len(), filter.matches(frame), filter.matches(&tagged)), (90, true, false));
    // So it finds no VLAN either.
    let vlan = Filter::parse(Layer::Tap, "vlan").unwrap();
    assert!(vlan.matches(&tagged));
    far.attach_filter(vlan.program()).unwrap();
    drain(&far);
    let dropped = || far.interface().dropped().unwrap();
    let before = dropped();
    near.send(&tagged).unwrap();
    while dropped() == before {
        let nothing = far.recv_timeout(&mut buffer, Duration::from_millis(5));
        assert!(nothing.unwrap_err().is_timed_out());
    }
    assert_eq!(drain(&far), [0; 0]);
}

fn filters_need_no_capability() {
    let device = quiet_tap();
    tunctl_testing::caller::as_caller(0, 0, false, &mut || {
        device.attach_filter(Filter::parse(Layer::Tap, "ip6").unwrap().program()).unwrap();
        device.set_mac_filter(Some(&MacFilter::of([2; 6]))).unwrap();
    });
    assert!(!Injector::new().inject(&name("tap0"), &frames()[2]));
}

/// An instruction of eBPF, with its two registers.
const fn ebpf(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> ProgramInstruction {
    let (low, high) =
        if cfg!(target_endian = "little") { (destination, source) } else { (source, destination) };
    ProgramInstruction { code, registers: high << 4 | low, offset, immediate }
}

/// `r0 = value; exit`.
fn returning(value: i32) -> OwnedFd {
    load_socket_filter(&[ebpf(0xb7, 0, 0, 0, value), ebpf(0x95, 0, 0, 0, 0)]).unwrap()
}

/// `r6 = r1; r0 = the byte at this place; exit`.
fn returning_byte(place: i32) -> OwnedFd {
    let instructions = [ebpf(0xbf, 6, 1, 0, 0), ebpf(0x30, 0, 0, 0, place), ebpf(0x95, 0, 0, 0, 0)];
    load_socket_filter(&instructions).unwrap()
}

fn datagram(host: u8) -> Vec<u8> {
    udp_packet(([10, 77, 0, host], 1).into(), ([10, 77, 0, 200], 2).into(), b"payload").unwrap()
}

fn an_ebpf_program_cuts_and_drops_on_tun_and_tap() {
    let [nothing, few, some, more, all] = [0, 20, 25, 40, -1].map(returning);
    netns::enter_new().unwrap();
    without_ipv6();
    let injector = Injector::new();
    for (options, text) in [(CreateOptions::tun(), "tun0"), (CreateOptions::tap(), "tap0")] {
        let is_tap = options.get_layer() == Layer::Tap;
        let device = create(options, text);
        ip(&format!("link set {text} up"));
        let packet = datagram(1);
        let packet = if is_tap { ethernet_frame([2; 6], [4; 6], EtherType::IPV4, &packet) } else { packet };
        let pass = |program: Option<&OwnedFd>| {
            device.set_filter_program(program.map(AsFd::as_fd)).unwrap();
            let reached = injector.inject(&name(text), &packet);
            let lengths = drain(&device);
            assert_eq!(reached, !lengths.is_empty());
            lengths
        };
        assert_eq!(pass(Some(&nothing)), [0; 0]);
        assert_eq!(pass(Some(&some)), [25]);
        assert_eq!(pass(Some(&all)), [packet.len()]);
        assert_eq!(pass(Some(&nothing)), [0; 0]);
        assert_eq!(pass(None), [packet.len()]);
        if is_tap {
            // It runs behind the classic program.
            device.attach_filter(&keeping(30)).unwrap();
            assert_eq!(pass(Some(&few)), [20]);
            assert_eq!(pass(Some(&more)), [30]);
        }
    }
}

fn keeping(bytes: u32) -> Program {
    Program::new(vec![Instruction { code: 0x06, jt: 0, jf: 0, k: bytes }]).unwrap()
}

fn an_ebpf_program_chooses_the_queue() {
    // The last byte of the sender's address.
    let program = returning_byte(15);
    netns::enter_new().unwrap();
    without_ipv6();
    let queues = backend().create_queues(&CreateOptions::tun().name("many"), 3).unwrap();
    queues[0].up(address("10.77.0.100/24")).unwrap();
    queues[1].set_steering_program(Some(program.as_fd())).unwrap();
    // The interface keeps the program, not the descriptor.
    drop(program);
    let injector = Injector::new();
    for host in 0..30_u8 {
        assert!(injector.inject(&name("many"), &datagram(host)));
        let lengths = queues.iter().map(drain).map(|waiting| waiting.len()).collect::<Vec<_>>();
        let mut expected = vec![0; 3];
        expected[usize::from(host % 3)] = 1;
        assert_eq!(lengths, expected, "{host}");
    }
    // Without it, all packets of a flow go to one queue, whatever the sender's last byte would say.
    queues[1].set_steering_program(None).unwrap();
    for _ in 0..10 {
        assert!(injector.inject(&name("many"), &datagram(7)));
    }
    let mut lengths: Vec<_> = queues.iter().map(|queue| drain(queue).len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [0, 0, 10]);
}

fn what_is_no_ebpf_program_is_refused() {
    let device = super::support::tun("tun0");
    let file = std::fs::File::open("/dev/null").unwrap();
    for outcome in
        [device.set_filter_program(Some(file.as_fd())), device.set_steering_program(Some(device.as_fd()))]
    {
        let error = refused(outcome);
        assert_eq!(error.cause(), Cause::InvalidValue);
        assert!(error.to_string().contains("BPF_PROG_TYPE_SOCKET_FILTER"), "{error}");
    }
}
