//! Errors of devices: creating, opening, packets.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use tunctl_core::{
    Cause, CreateOptions, Error, Filters, Gid, Interrupter, Offloads, Operation, Queues, TunBackend,
    TunDevice, Uid,
};
use tunctl_linux::LinuxDevice;
use tunctl_packet::bpf::{Instruction, Program};
use tunctl_packet::header::{Endian, VnetFormat, VnetLength};
use tunctl_testing::ip;

use super::super::support::{address, backend, create, name, open, refused, socket, tap, tun};
use super::{Place, Row, here};

pub(super) fn rows() -> Vec<Row> {
    [attaching(), offloading(), queues(), filters(), gone(), unmapped(), receiving(), sending()]
        .into_iter()
        .flatten()
        .collect()
}

fn new(name: &str) -> Error {
    refused(backend().create(&CreateOptions::tun().name(name)))
}

fn multi() -> CreateOptions {
    CreateOptions::tun().multi_queue(true)
}

/// Opens an interface that another device has open.
fn open_held(held: CreateOptions, wanted: CreateOptions) -> Error {
    let _held = create(held, "held");
    refused(open(wanted, "held"))
}

fn exhaust_a_pattern() -> Error {
    let pattern = CreateOptions::tun().name("abcdefghijklm%d");
    // A name has 15 bytes at most, so there is room for two digits.
    let _devices: Vec<_> = (0..100).map(|_| backend().create(&pattern).unwrap()).collect();
    refused(backend().create(&pattern))
}

fn one_queue_too_many() -> Error {
    let _devices = backend().create_queues(&CreateOptions::tun().name("many"), 256).unwrap();
    refused(open(multi(), "many"))
}

fn vnet(format: VnetFormat) -> CreateOptions {
    multi().vnet_format(format)
}

/// A byte order that few kernels know on this machine.
fn foreign_order() -> VnetFormat {
    let endian = if cfg!(target_endian = "little") { Endian::Big } else { Endian::Little };
    VnetFormat::new(VnetLength::Buffers, endian)
}

fn offloading() -> Vec<Row> {
    use Operation as O;
    const TWELVE: VnetFormat = VnetFormat::new(VnetLength::Buffers, Endian::Native);
    let bare = (Cause::NoVnetHeader, "have no virtio-net header");
    let not_known = (Cause::InvalidValue, "this kernel knows no");
    vec![
        here(
            O::Create,
            &[],
            "offloads are named, and no virtio-net header",
            (Cause::InvalidOptions, "need a virtio-net header"),
            || refused(backend().create(&CreateOptions::tun().offloads(Offloads::TSO))),
        ),
        here(
            O::Create,
            &[Errno::EINVAL],
            "the byte order of the virtio-net header is unknown",
            not_known,
            || refused(backend().create(&CreateOptions::tun().vnet_format(foreign_order()))),
        ),
        here(
            O::Open,
            &[],
            "its other queues have a virtio-net header of another format",
            (Cause::HeaderMismatch, "its other queues use a virtio-net header of 12 bytes"),
            || open_held(vnet(TWELVE), vnet(VnetFormat::default())),
        ),
        here(
            O::Open,
            &[],
            "its other queues take other offloads",
            (Cause::Busy, "its other queues share their offloads, which are: csum, tso4"),
            || {
                let held = vnet(TWELVE).offloads(Offloads::TSO4);
                open_held(held, vnet(TWELVE).offloads(Offloads::NONE))
            },
        ),
        here(O::SetOffloads, &[], "its packets have no virtio-net header", bare, || {
            refused(tun("tun0").set_offloads(Offloads::CHECKSUM))
        }),
        here(O::SetVnetFormat, &[], "its packets have no virtio-net header", bare, || {
            refused(tun("tun0").set_vnet_format(VnetFormat::default()))
        }),
        here(O::SetVnetFormat, &[Errno::EINVAL], "the byte order is unknown", not_known, || {
            let options = CreateOptions::tun().vnet_header(true);
            refused(create(options, "tun0").set_vnet_format(foreign_order()))
        }),
    ]
}

fn attaching() -> Vec<Row> {
    use Operation as O;
    vec![
        here(
            O::Create,
            &[Errno::EBUSY],
            "there is one of that name",
            (Cause::Exists, "Choose another name"),
            || {
                let _held = tun("held");
                new("held")
            },
        ),
        here(
            O::Create,
            &[Errno::EBUSY],
            "another kind of interface has the name",
            (Cause::NotATun, "ip -d link"),
            || new("lo"),
        ),
        here(
            O::Create,
            &[],
            "the name is invalid",
            (Cause::InvalidName, "general settings under these names"),
            || new("all"),
        ),
        here(
            O::Create,
            &[Errno::ENFILE, Errno::EEXIST],
            "the pattern's numbers are taken",
            (Cause::Exists, "another pattern"),
            exhaust_a_pattern,
        ),
        here(
            O::Open,
            &[],
            "the name is missing, or is a pattern",
            (Cause::InvalidOptions, "specify its whole name"),
            || refused(open(CreateOptions::tun(), "tun%d")),
        ),
        here(O::Open, &[], "there is none", (Cause::NotFound, "ip link"), || {
            refused(open(CreateOptions::tun(), "none"))
        }),
        here(O::Open, &[], "another kind of interface has the name", (Cause::NotATun, "ip -d link"), || {
            refused(open(CreateOptions::tun(), "lo"))
        }),
        here(
            O::Open,
            &[Errno::EINVAL],
            "it has the other layer",
            (Cause::LayerMismatch, "exists as a tun"),
            || open_held(CreateOptions::tun(), CreateOptions::tap()),
        ),
        here(
            O::Open,
            &[Errno::EINVAL],
            "it has a single queue, and several are asked for",
            (Cause::QueueMismatch, "Ask without multi_queue"),
            || open_held(CreateOptions::tun(), multi()),
        ),
        here(
            O::Open,
            &[Errno::EINVAL],
            "it has several queues, and one is asked for",
            (Cause::QueueMismatch, "Ask for multi_queue"),
            || open_held(multi(), CreateOptions::tun()),
        ),
        here(
            O::Open,
            &[],
            "its other queues have other headers",
            (Cause::HeaderMismatch, "its other queues use"),
            || open_held(multi(), multi().vnet_header(true)),
        ),
        here(O::Open, &[Errno::EBUSY], "its only queue is taken", (Cause::Busy, "stop the program"), || {
            open_held(CreateOptions::tun(), CreateOptions::tun())
        }),
        here(
            O::Open,
            &[Errno::E2BIG],
            "it has 256 queues",
            (Cause::TooManyQueues, "makes room"),
            one_queue_too_many,
        ),
        here(
            O::OpenOrCreate,
            &[Errno::EBUSY],
            "its only queue is taken",
            (Cause::Busy, "stop the program"),
            || {
                let _held = tun("held");
                refused(backend().open_or_create(&CreateOptions::tun().name("held")))
            },
        ),
        here(O::Lookup, &[], "there is none", (Cause::NotFound, "ip link"), || {
            refused(backend().interface(&name("none")))
        }),
        here(
            O::Lookup,
            &[],
            "another kind of interface has the name",
            (Cause::NotATun, "ip -d link"),
            || refused(backend().interface(&name("lo"))),
        ),
    ]
}

fn queues() -> Vec<Row> {
    const EINVAL: &[Errno] = &[Errno::EINVAL];
    let reason = (Cause::InvalidQueue, "created with several queues");
    vec![
        here(Operation::AttachQueue, EINVAL, "the queue is attached", reason, || {
            refused(create(multi(), "many").attach_queue())
        }),
        here(Operation::DetachQueue, EINVAL, "the interface is made for one queue", reason, || {
            refused(tun("tun0").detach_queue())
        }),
    ]
}

/// A device whose interface another program has deleted.
fn deleted() -> LinuxDevice {
    let device = tun("gone");
    ip("link delete gone");
    device
}

/// A program that keeps all of every frame.
fn program() -> Program {
    Program::new(vec![Instruction { code: 0x06, jt: 0, jf: 0, k: u32::MAX }]).unwrap()
}

fn filters() -> Vec<Row> {
    use Operation as O;
    const A_TUN: &str = "the interface is a tun";
    const NO_PROGRAM: &str = "the descriptor is not one of an eBPF program";
    let no_program = (Cause::InvalidValue, "BPF_PROG_TYPE_SOCKET_FILTER");
    let needs_a_tap = (Cause::LayerMismatch, "Create a tap");
    vec![
        here(O::AttachFilter, &[Errno::EINVAL], A_TUN, needs_a_tap, || {
            refused(tun("tun0").attach_filter(&program()))
        }),
        here(
            O::AttachFilter,
            &[],
            "all queues are out of service",
            (Cause::NoQueue, "no queue of the interface is in service"),
            || {
                let device = create(CreateOptions::tap().multi_queue(true), "many");
                device.detach_queue().unwrap();
                refused(device.attach_filter(&program()))
            },
        ),
        here(O::DetachFilter, &[Errno::EINVAL], A_TUN, needs_a_tap, || refused(tun("tun0").detach_filter())),
        here(O::SetMacFilter, &[Errno::EINVAL], A_TUN, needs_a_tap, || {
            refused(tun("tun0").set_mac_filter(None))
        }),
        here(O::SetFilterProgram, &[Errno::EINVAL], NO_PROGRAM, no_program, || {
            refused(tun("tun0").set_filter_program(Some(io::stdin().as_fd())))
        }),
        here(O::SetSteeringProgram, &[Errno::EINVAL], NO_PROGRAM, no_program, || {
            refused(tun("tun0").set_steering_program(Some(io::stdin().as_fd())))
        }),
    ]
}

fn gone() -> Vec<Row> {
    use Operation as O;
    let answering = |errnos, operation, provoke| {
        here(operation, errnos, "the interface was deleted", (Cause::Gone, "create a new one"), provoke)
    };
    let gone = |operation, provoke| answering(&[Errno::EBADFD], operation, provoke);
    // `tun_set_queue` has one errno for all that it refuses.
    let no_queue = |operation, provoke| answering(&[Errno::EINVAL], operation, provoke);
    vec![
        gone(O::SetPersist, || refused(deleted().set_persist(true))),
        gone(O::SetOwner, || refused(deleted().set_owner(Uid::new(0).unwrap()))),
        gone(O::SetGroup, || refused(deleted().set_group(Gid::new(0).unwrap()))),
        gone(O::Name, || refused(deleted().name())),
        no_queue(O::AttachQueue, || refused(deleted().attach_queue())),
        no_queue(O::DetachQueue, || refused(deleted().detach_queue())),
        gone(O::Receive, || refused(deleted().recv(&mut [0; 9]))),
        gone(O::Send, || refused(deleted().send(&[0x45; 20]))),
    ]
}

fn unmapped() -> Vec<Row> {
    let unmapped = |operation, provoke| Row {
        place: Place::Unmapped,
        ..here(
            operation,
            &[Errno::EINVAL],
            "the id has no mapping in the user namespace",
            (Cause::UnmappedId, "/proc/self/uid_map"),
            provoke,
        )
    };
    vec![
        unmapped(Operation::SetOwner, || refused(tun("tun0").set_owner(Uid::new(4001).unwrap()))),
        unmapped(Operation::SetGroup, || refused(tun("tun0").set_group(Gid::new(4001).unwrap()))),
    ]
}

fn receive_without_room_for_headers() -> Error {
    let device = create(CreateOptions::tun().packet_information(true), "tun0");
    device.up(address("10.77.0.1/24")).unwrap();
    socket("10.77.0.1:0").send_to(b"waiting", "10.77.0.2:9").unwrap();
    refused(device.recv(&mut [0; 3]))
}

fn receive_in_too_many_pieces() -> Error {
    let mut bytes = [0; 1025];
    let mut pieces: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
    refused(tun("tun0").try_recv_vectored(&mut pieces))
}

fn receiving() -> Vec<Row> {
    let receive = |errnos, when, reason, provoke| here(Operation::Receive, errnos, when, reason, provoke);
    vec![
        receive(
            &[Errno::EAGAIN],
            "no packet waits, in a `try_` form",
            (Cause::WouldBlock, "have to wait"),
            || refused(tun("tun0").try_recv(&mut [0; 9])),
        ),
        receive(&[], "no packet comes in time", (Cause::TimedOut, "in time"), || {
            refused(tun("tun0").recv_timeout(&mut [0; 9], Duration::from_millis(1)))
        }),
        receive(&[], "another thread interrupts the wait", (Cause::Interrupted, "interrupted"), || {
            let interrupter = Interrupter::new().unwrap();
            interrupter.interrupt();
            refused(tun("tun0").recv_interruptible(&mut [0; 9], &interrupter))
        }),
        receive(
            &[Errno::EINVAL],
            "the buffer is shorter than the headers",
            (Cause::TooShort, "longest_packet()"),
            receive_without_room_for_headers,
        ),
        receive(
            &[Errno::EINVAL],
            "there are more than 1024 pieces",
            (Cause::TooManyPieces, "1025 pieces"),
            receive_in_too_many_pieces,
        ),
    ]
}

fn send(options: CreateOptions, packet: &[u8]) -> Error {
    refused(create(options, "tun0").send(packet))
}

fn send_in_too_many_pieces() -> Error {
    refused(tun("tun0").try_send_vectored(&[IoSlice::new(&[0x45]); 1025]))
}

fn send_from_a_detached_queue() -> Error {
    let device = create(multi().napi(true).up(), "tun0");
    device.detach_queue().unwrap();
    refused(device.send(&[0x45; 20]))
}

fn sending() -> Vec<Row> {
    const EINVAL: &[Errno] = &[Errno::EINVAL];
    let sending = |errnos, when, reason, provoke| here(Operation::Send, errnos, when, reason, provoke);
    vec![
        sending(&[Errno::EIO], "the interface is down", (Cause::Down, "Bring it up first"), || {
            send(CreateOptions::tun(), &[0x45; 20])
        }),
        sending(
            EINVAL,
            "the packet is empty, or has only headers",
            (Cause::TooShort, "at least 1 byte"),
            || send(CreateOptions::tun(), &[]),
        ),
        sending(
            EINVAL,
            "a frame is shorter than an Ethernet header",
            (Cause::TooShort, "at least 14 bytes"),
            || refused(tap("tap0").send(&[0; 13])),
        ),
        sending(
            EINVAL,
            "a tun's packet is of neither IPv4 nor IPv6",
            (Cause::MalformedPacket, "4 or 6"),
            || send(CreateOptions::tun(), &[0x15; 20]),
        ),
        sending(
            EINVAL,
            "the headers in front of it are malformed",
            (Cause::MalformedPacket, "begins with these headers"),
            || {
                // A type of segmentation that does not exist.
                let mut packet = [0; 30];
                (packet[1], packet[10]) = (0x7f, 0x45);
                send(CreateOptions::tun().vnet_header(true), &packet)
            },
        ),
        sending(
            &[Errno::EBUSY],
            "with NAPI, its queue is out of service",
            (Cause::NoQueue, "Attach the queue first"),
            send_from_a_detached_queue,
        ),
        sending(
            EINVAL,
            "there are more than 1024 pieces",
            (Cause::TooManyPieces, "1025 pieces"),
            send_in_too_many_pieces,
        ),
    ]
}
