//! Sequences of operations, for tests against a model.

use proptest::collection::{SizeRange, vec};
use proptest::prelude::*;
use proptest::sample::select;
use tunctl_core::{InterfaceAddress, InterfaceName, Layer, MacAddress, Mtu};

use super::{hostile_packets, interface_addresses, interface_names, mac_addresses, mtus, packets};

/// Something that happens to a device, or to its interface.
///
/// A test runs each action on the program under test and on a model, and compares. Any of them may fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The program sends this packet: [`TunDevice::try_send`](tunctl_core::TunDevice::try_send), behind the
    /// headers that its device has.
    Send(Vec<u8>),
    /// The program receives, with a buffer of this length:
    /// [`TunDevice::try_recv`](tunctl_core::TunDevice::try_recv).
    Receive(usize),
    /// The system sends this packet out of the interface: one more for the program to receive.
    Inject(Vec<u8>),
    /// The program brings the interface up, with an address: [`TunDevice::up`](tunctl_core::TunDevice::up).
    Up(InterfaceAddress),
    /// The interface goes down: by [`TunDevice::down`](tunctl_core::TunDevice::down), or because another
    /// program brings it down.
    Down,
    /// [`Interface::set_mtu`](tunctl_core::Interface::set_mtu).
    SetMtu(Mtu),
    /// [`Interface::set_mac`](tunctl_core::Interface::set_mac), which a tun refuses.
    SetMac(MacAddress),
    /// [`Interface::add_address`](tunctl_core::Interface::add_address).
    AddAddress(InterfaceAddress),
    /// [`Interface::remove_address`](tunctl_core::Interface::remove_address): more often than not an address
    /// that an earlier action may have added.
    RemoveAddress(InterfaceAddress),
    /// [`Interface::replace_addresses`](tunctl_core::Interface::replace_addresses).
    ReplaceAddresses(Vec<InterfaceAddress>),
    /// [`TunDevice::set_persist`](tunctl_core::TunDevice::set_persist).
    Persist(bool),
    /// Another program renames the interface.
    Rename(InterfaceName),
    /// Another program deletes the interface: the device is detached.
    Delete,
    /// The program closes its device, and opens or creates the interface again with the same options:
    /// [`TunBackend::open_or_create`](tunctl_core::TunBackend::open_or_create).
    Reopen,
}

/// Sequences of operations on one device of a layer, which starts fresh and down: as many steps as `steps`
/// says.
///
/// A sequence starts with [`Action::Up`], and most steps are one action. Some steps are an interruption and
/// its end: the interface is taken down or deleted, the program continues for a while, then brings it up, or
/// opens it anew and brings it up. So most actions meet an interface that exists and is up, and each action
/// of the program can meet one that does not. [`Action::Delete`] and [`Action::Rename`] always meet one that
/// exists.
///
/// Packets to send are well-formed nine times out of ten; those that the system sends, always. Addresses and
/// names come from a few, so that they meet again.
///
/// ```
/// use proptest::prelude::*;
/// use tunctl_core::{CreateOptions, Layer, Result, TunBackend, TunDevice};
/// use tunctl_mock::MockBackend;
/// use tunctl_mock::strategy::{Action, operations};
///
/// fn run(kernel: &MockBackend, actions: Vec<Action>) -> Result<()> {
///     let options = CreateOptions::tun().name("vpn0");
///     let mut device = kernel.create(&options)?;
///     for action in actions {
///         // Each may fail; a model would say which do.
///         let _ = match action {
///             Action::Send(packet) => device.try_send(&packet).map(drop),
///             Action::Receive(size) => device.try_recv(&mut vec![0; size]).map(drop),
///             Action::Inject(packet) => Ok(drop(kernel.inject(&device, packet))),
///             Action::Up(address) => device.up(address),
///             Action::Down => device.down(),
///             Action::Delete => Ok(kernel.delete(&device)),
///             Action::Reopen => {
///                 drop(device);
///                 device = kernel.open_or_create(&options)?;
///                 Ok(())
///             }
///             // And so on.
///             _ => Ok(()),
///         };
///     }
///     Ok(())
/// }
///
/// proptest! {
///     fn whatever_happens_it_can_be_opened_again(actions in operations(Layer::Tun, 0..50)) {
///         prop_assert_eq!(run(&MockBackend::new(), actions), Ok(()));
///     }
/// }
/// whatever_happens_it_can_be_opened_again();
/// ```
pub fn operations(layer: Layer, steps: impl Into<SizeRange>) -> impl Strategy<Value = Vec<Action>> {
    let one = |action: Action| vec![action];
    let step = prop_oneof![
        40 => by_the_program(layer).prop_map(one),
        10 => packets(layer).prop_map(Action::Inject).prop_map(one),
        1 => names().prop_map(Action::Rename).prop_map(one),
        2 => interruption(layer, &[Action::Down], &[]),
        2 => interruption(layer, &[Action::Delete], &[Action::Reopen]),
        2 => interruption(layer, &[], &[Action::Reopen]),
    ];
    (addresses(), vec(step, steps))
        .prop_map(|(address, steps)| [vec![Action::Up(address)], steps.concat()].concat())
        .boxed()
}

/// What the program can do at any time.
fn by_the_program(layer: Layer) -> BoxedStrategy<Action> {
    let sendable = prop_oneof![9 => packets(layer), 1 => hostile_packets(layer)];
    prop_oneof![
        12 => sendable.prop_map(Action::Send),
        12 => buffers().prop_map(Action::Receive),
        2 => addresses().prop_map(Action::Up),
        2 => mtus().prop_map(Action::SetMtu),
        1 => mac_addresses().prop_map(Action::SetMac),
        3 => addresses().prop_map(Action::AddAddress),
        3 => addresses().prop_map(Action::RemoveAddress),
        1 => vec(addresses(), 0..4).prop_map(Action::ReplaceAddresses),
        2 => any::<bool>().prop_map(Action::Persist),
    ]
    .boxed()
}

/// An interruption: the program continues for a while, then repairs it.
fn interruption(
    layer: Layer,
    wrong: &'static [Action],
    right: &'static [Action],
) -> BoxedStrategy<Vec<Action>> {
    (vec(by_the_program(layer), 0..3), addresses())
        .prop_map(move |(meanwhile, address)| [wrong, &meanwhile, right, &[Action::Up(address)]].concat())
        .boxed()
}

/// Mostly buffers for a whole packet, and some that are too short.
fn buffers() -> BoxedStrategy<usize> {
    prop_oneof![4 => Just(65_535_usize), 2 => Just(1500_usize), 1 => 0..100_usize].boxed()
}

/// A few addresses of both families, the same one with another prefix and with a peer among them; and any
/// other.
fn addresses() -> BoxedStrategy<InterfaceAddress> {
    let few = [
        "10.0.0.1/24",
        "10.0.0.1/8",
        "10.0.0.2/24",
        "10.0.0.1 peer 10.0.0.9/32",
        "192.0.2.1/32",
        "fd77::1/64",
        "fd77::1/128",
        "fd77::2/64",
    ];
    let few = select(few.to_vec()).prop_filter_map("no address", |text| text.parse().ok());
    prop_oneof![4 => few, 1 => interface_addresses()].boxed()
}

fn names() -> BoxedStrategy<InterfaceName> {
    let few = select(vec!["tun0", "tun1", "vpn"]).prop_filter_map("no name", |text| text.parse().ok());
    prop_oneof![3 => few, 1 => interface_names()].boxed()
}
