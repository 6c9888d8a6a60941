//! What forwards between two TUN interfaces: each way has a thread.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tun_rs::{DeviceBuilder, GROTable, IDEAL_BATCH_SIZE, SyncDevice, VIRTIO_NET_HDR_LEN};
use tunctl_core::bulk::queue_length;
use tunctl_core::{CreateFlags, CreateOptions, Mtu, TunBackend, TunDevice};
use tunctl_linux::{LinuxBackend, LinuxDevice, Namespace};
use tunctl_packet::header::VnetFormat;
use tunctl_pump::Pump;

use super::path::{DEVICE, HOSTS, MTU, Path, namespaces};
use crate::sections::packets::raw;

type Joined = Pump<LinuxDevice, LinuxDevice>;

/// Two ways, and the thread that has started them and waits.
const PUMP_THREADS: usize = 3;

/// Ours: each large packet is cut, and its packets are merged.
pub(super) fn pump(name: &'static str, format: VnetFormat) -> Result<Path, String> {
    ours(name, &CreateOptions::tun().vnet_format(format), Joined::run)
}

/// Ours, with large packets as they come.
pub(super) fn relay(name: &'static str, options: &CreateOptions) -> Result<Path, String> {
    let relay = ours(name, options, Joined::relay)?;
    Ok(Path { calls: None, ..relay })
}

/// Ours, with one packet a call.
pub(super) fn plain(name: &'static str) -> Result<Path, String> {
    let plain = ours(name, &CreateOptions::tun(), Joined::run)?;
    Ok(Path { calls: None, is_large: false, ..plain })
}

fn ours(
    name: &'static str,
    options: &CreateOptions,
    run: fn(&Joined) -> tunctl_core::Result<()>,
) -> Result<Path, String> {
    let namespaces = namespaces()?;
    let join = || {
        let mtu = Mtu::new(u32::from(MTU))?;
        // As `tunctl pump` makes its interfaces.
        let length = queue_length(mtu, options.get_flags().contains(CreateFlags::VNET_HDR));
        let options = options.clone().name(DEVICE).mtu(mtu).queue_length(length).up();
        let device = |end: usize| -> tunctl_core::Result<_> {
            let options = options.clone().address(format!("{}/24", HOSTS[end]));
            let device = LinuxBackend::new().in_namespace(&namespaces[end])?.create(&options)?;
            Ok(device.into_bulk()?)
        };
        Pump::new(vec![device(0)?], vec![device(1)?])
    };
    let pump: Arc<Joined> = Arc::new(join().map_err(|error| error.to_string())?);
    let running = Arc::clone(&pump);
    start(name, move || run(&running).map_err(|error| io::Error::other(error.to_string())))?;
    let calls = move || {
        let [forth, _] = pump.traffic();
        (forth.received, forth.receive_calls)
    };
    let calls = Some(Box::new(calls) as _);
    Ok(Path { threads: PUMP_THREADS, is_large: true, calls, ..Path::new(name, namespaces) })
}

/// tun-rs, with the calls that its documentation shows for offload. One set of buffers is what it receives
/// into and sends from, so that nothing is copied between.
pub(super) fn tun_rs(name: &'static str) -> Result<Path, String> {
    let namespaces = namespaces()?;
    let devices = [their(&namespaces, 0, true)?, their(&namespaces, 1, true)?];
    if !devices.iter().all(|device| device.tcp_gso()) {
        return Err("tun-rs has no offload of TCP".into());
    }
    let counts = [(); 2].map(|()| Arc::new([AtomicU64::new(0), AtomicU64::new(0)]));
    for (from, to, counts) in [(0, 1, &counts[0]), (1, 0, &counts[1])] {
        let (from, to, counts) = (Arc::clone(&devices[from]), Arc::clone(&devices[to]), Arc::clone(counts));
        start(name, move || their_way(&from, &to, &counts))?;
    }
    let [forth, _] = counts;
    let calls = move || (forth[0].load(Ordering::Relaxed), forth[1].load(Ordering::Relaxed));
    let calls = Some(Box::new(calls) as _);
    Ok(Path { threads: 2, is_large: true, calls, ..Path::new(name, namespaces) })
}

fn their_way(from: &SyncDevice, to: &SyncDevice, [packets, calls]: &[AtomicU64; 2]) -> io::Result<()> {
    // Room for merging: tun-rs merges into the first buffer of a flow, if that has the capacity.
    let whole = VIRTIO_NET_HDR_LEN + usize::from(MTU);
    let buffer = || {
        let mut buffer = Vec::with_capacity(VIRTIO_NET_HDR_LEN + 65_535);
        buffer.resize(whole, 0_u8);
        buffer
    };
    let mut buffers: Vec<_> = (0..IDEAL_BATCH_SIZE).map(|_| buffer()).collect();
    let mut sizes = vec![0; IDEAL_BATCH_SIZE];
    let mut large = vec![0; VIRTIO_NET_HDR_LEN + 65_535];
    let mut table = GROTable::default();
    loop {
        let count = from.recv_multiple(&mut large, &mut buffers, &mut sizes, VIRTIO_NET_HDR_LEN)?;
        packets.fetch_add(count as u64, Ordering::Relaxed);
        calls.fetch_add(1, Ordering::Relaxed);
        for (buffer, size) in buffers.iter_mut().zip(&sizes).take(count) {
            buffer.truncate(VIRTIO_NET_HDR_LEN + size);
        }
        to.send_multiple(&mut table, &mut buffers[..count], VIRTIO_NET_HDR_LEN)?;
        for buffer in &mut buffers[..count] {
            buffer.resize(whole, 0);
        }
    }
}

/// System calls, and nothing around them, on descriptors that block.
pub(super) fn raw_loop(name: &'static str) -> Result<Path, String> {
    let namespaces = namespaces()?;
    let devices = [their(&namespaces, 0, false)?, their(&namespaces, 1, false)?];
    for (from, to) in [(0, 1), (1, 0)] {
        let (from, to) = (Arc::clone(&devices[from]), Arc::clone(&devices[to]));
        start(name, move || {
            let mut packet = [0; 65_535];
            loop {
                let length = raw::read(from.as_fd(), &mut packet)?;
                raw::write(to.as_fd(), &packet[..length])?;
            }
        })?;
    }
    Ok(Path { threads: 2, ..Path::new(name, namespaces) })
}

/// A device of tun-rs.
fn their(namespaces: &[Namespace; 2], end: usize, offload: bool) -> Result<Arc<SyncDevice>, String> {
    let build = || {
        DeviceBuilder::new()
            .name(DEVICE)
            .ipv4(HOSTS[end], 24, None)
            .mtu(MTU)
            .with(|builder| {
                builder.offload(offload);
            })
            .build_sync()
    };
    let device = namespaces[end].run(build).map_err(|error| error.to_string())?;
    device.map(Arc::new).map_err(|error| format!("tun-rs cannot create a device: {error}"))
}

/// Starts a thread that forwards until the process ends.
fn start(
    name: &'static str,
    forward: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), String> {
    let forward = move || {
        if let Err(error) = forward() {
            eprintln!("{name} forwards no longer: {error}");
        }
    };
    let started = thread::Builder::new().name(name.to_owned()).spawn(forward);
    started.map(drop).map_err(|error| format!("start a thread: {error}"))
}
