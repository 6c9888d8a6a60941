//! A configuration with a fault at each of its steps.

use tunctl_core::{
    Cause, CreateOptions, Interface, InterfaceAddress, InterfaceConfig, InterfaceInfo, Operation, State,
    TunBackend, TunDevice,
};
use tunctl_mock::{Errno, Fault, MockBackend, MockDevice};

/// The operations that a configuration is made of.
const STEPS: [Operation; 9] = [
    Operation::Inspect,
    Operation::ListAddresses,
    Operation::Rename,
    Operation::SetMtu,
    Operation::SetMac,
    Operation::SetQueueLength,
    Operation::Up,
    Operation::AddAddress,
    Operation::RemoveAddress,
];

fn existing(kernel: &MockBackend) -> MockDevice {
    let options = CreateOptions::tap().name("vpn0").mtu(1400).queue_length(7);
    let options = ["10.1.1.1/24", "10.1.1.2/24", "10.1.1.3/24", "fd77::1/64"]
        .iter()
        .copied()
        .fold(options, CreateOptions::address);
    kernel.create(&options).unwrap()
}

/// A configuration that changes everything.
fn config() -> InterfaceConfig {
    InterfaceConfig::new()
        .name("vpn1")
        .mtu(1300)
        .mac("02:00:00:00:00:07")
        .queue_length(9)
        .address("10.2.2.2/24")
        .address("fd78::1/64")
        .remove_address("10.1.1.1/24")
        .up()
}

fn state(device: &MockDevice) -> (InterfaceInfo, Vec<InterfaceAddress>) {
    let mut addresses = device.interface().addresses().unwrap();
    // Those that were put back stand behind those that stayed.
    addresses.sort_by_key(ToString::to_string);
    (device.interface().info().unwrap(), addresses)
}

/// How often each operation is called where nothing fails, at least.
const CALLS: u32 = 12;

#[test]
fn whichever_call_fails_everything_is_as_it_was() {
    let mut failures = 0;
    for operation in STEPS {
        for nth in 1..=CALLS {
            let kernel = MockBackend::new();
            let device = existing(&kernel);
            let before = state(&device);
            kernel.script(Fault::on(operation).nth(nth).errno(Errno::ENOMEM));
            match device.interface().apply(&config()) {
                // The operation is called less often.
                Ok(()) => {
                    assert_eq!(kernel.pending_faults(), 1, "{operation:?} {nth}");
                    break;
                }
                Err(error) => {
                    failures += 1;
                    assert_eq!(error.raw_os_error(), Some(Errno::ENOMEM.number()), "{error}");
                    assert_eq!(
                        (state(&device), error.leftovers()),
                        (before, None),
                        "{operation:?} {nth}: {error}"
                    );
                }
            }
        }
    }
    assert!(failures >= 12, "{failures}");
}

#[test]
fn whichever_call_of_an_opening_fails_everything_is_as_it_was() {
    for operation in
        STEPS.into_iter().chain([Operation::SetOwner, Operation::SetGroup, Operation::SetPersist])
    {
        for nth in 1..=CALLS {
            let kernel = MockBackend::new();
            let device = existing(&kernel);
            let (owner, group) = (tunctl_core::Uid::new(7).unwrap(), tunctl_core::Gid::new(8).unwrap());
            device.set_owner(owner).unwrap();
            device.set_group(group).unwrap();
            device.set_persist(true).unwrap();
            let interface = device.interface().clone();
            drop(device);
            let before = (interface.info().unwrap(), interface.addresses().unwrap().len());
            kernel.script(Fault::on(operation).nth(nth).errno(Errno::ENOMEM));
            let other = (tunctl_core::Uid::new(9).unwrap(), tunctl_core::Gid::new(10).unwrap());
            let options = CreateOptions::tap()
                .name("vpn0")
                .config(config())
                .owner(other.0)
                .group(other.1)
                .persistent(true);
            if let Err(error) = kernel.open(&options) {
                let now = (interface.info().unwrap(), interface.addresses().unwrap().len());
                assert_eq!((now, error.leftovers()), (before, None), "{operation:?} {nth}: {error}");
            }
        }
    }
}

#[test]
fn whichever_call_of_a_creation_fails_nothing_is_left() {
    for operation in STEPS.into_iter().chain([Operation::SetOwner, Operation::SetPersist]) {
        for nth in 1..=CALLS {
            let kernel = MockBackend::new();
            kernel.script(Fault::on(operation).nth(nth).errno(Errno::ENOMEM));
            let owner = tunctl_core::Uid::new(9).unwrap();
            let config = InterfaceConfig::new().mtu(1300).mac("02:00:00:00:00:07").queue_length(9);
            let config = config.address("10.2.2.2/24").address("fd78::1/64").up();
            let options = CreateOptions::tap().name("vpn0").config(config).owner(owner).persistent(true);
            if let Err(error) = kernel.create(&options) {
                assert_eq!(error.leftovers(), None, "{error}");
                assert!(kernel.interfaces().unwrap().is_empty(), "{operation:?} {nth}");
            }
        }
    }
}

#[test]
fn what_could_not_be_undone_is_said() {
    for (operation, calls, said) in [
        (Operation::SetMtu, 2..=2, "its MTU is 1300, and was 1400"),
        (Operation::SetQueueLength, 2..=2, "its queue length was 7, and is another"),
        (Operation::SetMac, 2..=2, "its MAC address was"),
        (Operation::Rename, 2..=2, "its name is vpn1, and was vpn0"),
        (Operation::Down, 1..=1, "it is up, and was down"),
        (Operation::AddAddress, 4..=9, "it has lost 10.1.1."),
        (Operation::RemoveAddress, 2..=9, "it has kept 10.2.2.2/24"),
    ] {
        let kernel = MockBackend::new();
        let device = existing(&kernel);
        // Two are added and one is removed, which takes others along; of these, the first cannot be put back.
        kernel.script(Fault::on(Operation::AddAddress).nth(3).errno(Errno::ENOMEM));
        calls.for_each(|nth| kernel.script(Fault::on(operation).nth(nth).errno(Errno::EPERM)));
        let error = device.interface().apply(&config()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ENOMEM.number()), "{operation:?}: {error}");
        assert!(error.leftovers().is_some_and(|text| text.contains(said)), "{operation:?}: {error}");
        assert!(error.to_string().contains("Not undone: "), "{error}");
    }
}

#[test]
fn an_owner_that_there_was_not_cannot_be_taken_back_and_that_is_said() {
    let kernel = MockBackend::new();
    let device = existing(&kernel);
    device.set_persist(true).unwrap();
    drop(device);
    kernel.script(Fault::on(Operation::SetGroup).errno(Errno::ENOMEM));
    let options = CreateOptions::tap().name("vpn0").mtu(1300);
    let options = options.owner(tunctl_core::Uid::new(7).unwrap()).group(tunctl_core::Gid::new(7).unwrap());
    let error = kernel.open(&options).unwrap_err();
    assert_eq!((error.operation(), error.cause()), (Operation::SetGroup, Cause::Other));
    assert_eq!(error.leftovers(), Some("its owner is 7, and was nobody"));
    assert_eq!(kernel.interface(&"vpn0".parse().unwrap()).unwrap().info().unwrap().state, State::Down);
}
