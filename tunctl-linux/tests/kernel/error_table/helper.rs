//! Errors of the privileged helper, as helpers that are none answer with them.

use nix::errno::Errno;
use tunctl_core::{
    Cause::{
        Busy, ClosedNode, Exists, ForbiddenByPolicy, InvalidMtu, MissingCapability, MissingDriver,
        MissingHelper, NoIpv6, Sandboxed, UnusableHelper,
    },
    CreateOptions, Error, Operation, TunBackend,
};
use tunctl_helper::protocol::{Refusal, Step};
use tunctl_linux::HelperBackend;

use super::super::helper::fake::{clean, helper, refusing};
use super::super::support::refused;
use super::{Row, here};

pub(super) fn rows() -> Vec<Row> {
    [run(), rights(), policy(), kernel()].into_iter().flatten().collect()
}

fn create(backend: &HelperBackend) -> Error {
    let options = CreateOptions::tun().name("vpn0").mtu(1400).queue_length(7).address("fd77::1/64");
    let error = refused(backend.create(&options).map(drop));
    clean();
    error
}

fn refuse(refusal: Refusal) -> Error {
    create(&refusing(refusal))
}

/// The kernel refuses a step to the helper.
fn step(step: Step, errno: Errno) -> Error {
    refuse(Refusal::Kernel { step, errno: errno as i32 })
}

/// The helper as a program.
fn run() -> Vec<Row> {
    const CREATE: Operation = Operation::Create;
    vec![
        here(
            CREATE,
            &[],
            "the helper is not installed",
            (MissingHelper, "sudo tunctl helper install"),
            || create(&HelperBackend::with_program("/nowhere/tunctl-helper")),
        ),
        here(
            CREATE,
            &[Errno::EACCES],
            "the helper does not start",
            (UnusableHelper, "does not start"),
            || create(&HelperBackend::with_program("/proc")),
        ),
        here(CREATE, &[], "the helper dies", (UnusableHelper, "has ended without an answer"), || {
            create(&helper("dies"))
        }),
        here(
            CREATE,
            &[],
            "it sends what is no device",
            (UnusableHelper, "none of the TUN/TAP driver"),
            || create(&helper("sends a pipe")),
        ),
        here(CREATE, &[], "the helper is of another version", (UnusableHelper, "of another version"), || {
            refuse(Refusal::Malformed)
        }),
        here(CREATE, &[], "another program of the user keeps the helper busy", (Busy, "Try again"), || {
            refuse(Refusal::Busy)
        }),
    ]
}

/// What the helper lacks.
fn rights() -> Vec<Row> {
    const CREATE: Operation = Operation::Create;
    vec![
        here(CREATE, &[], "the helper has a set-user-ID bit", (UnusableHelper, "set-user-ID"), || {
            refuse(Refusal::SetId)
        }),
        here(
            CREATE,
            &[],
            "the helper's file has no capability",
            (MissingCapability, "sudo tunctl helper install"),
            || refuse(Refusal::NotGranted),
        ),
        here(CREATE, &[], "programs may gain no rights here", (Sandboxed, "NoNewPrivileges=no"), || {
            refuse(Refusal::NoNewPrivileges)
        }),
        here(
            CREATE,
            &[],
            "the helper is on a mount with nosuid",
            (MissingCapability, "is mounted with nosuid"),
            || refuse(Refusal::NosuidMount),
        ),
        here(
            CREATE,
            &[],
            "the bounding set lacks the helper's capability",
            (MissingCapability, "--cap-add NET_ADMIN"),
            || refuse(Refusal::BoundingSet),
        ),
        here(CREATE, &[], "a debugger traces the helper", (MissingCapability, "as strace -f does"), || {
            refuse(Refusal::Traced)
        }),
    ]
}

/// What the policy does not allow.
fn policy() -> Vec<Row> {
    macro_rules! forbidden {
        ($($when:literal, $words:literal, $refusal:expr;)*) => {
            vec![$(here(Operation::Create, &[], $when, (ForbiddenByPolicy, $words), || refuse($refusal))),*]
        };
    }
    forbidden! {
        "the helper has no policy", "tunctl policy example", Refusal::NoPolicy;
        "others than root could have written the policy", "sudo chmod go-w", Refusal::UnsafePolicy;
        "the policy is invalid", "`tunctl policy check` says what is wrong", Refusal::InvalidPolicy;
        "no rule is about the user", "no rule of tunctl-helper's policy is about this user", Refusal::NoRule;
        "no rule allows the network namespace", "in this network namespace", Refusal::Namespace;
        "no rule allows the layer", "no interface of this layer", Refusal::Layer;
        "no rule allows the name", "allows no such name", Refusal::Name;
        "no rule allows an address", "does not allow one of the addresses", Refusal::Address;
        "the system has a route to an address", "ip route", Refusal::Routed;
        "no rule allows the MTU", "does not allow the MTU", Refusal::Mtu;
        "no rule allows the queue length", "does not allow the queue length", Refusal::QueueLength;
        "the user has as many interfaces as a rule allows", "allows: 3", Refusal::TooMany { limit: 3 };
    }
}

/// What the kernel refuses to the helper.
fn kernel() -> Vec<Row> {
    vec![
        here(
            Operation::Create,
            &[Errno::EBUSY],
            "there is one of that name, by the helper",
            (Exists, "Choose another name"),
            || refuse(Refusal::Exists),
        ),
        here(
            Operation::Create,
            &[Errno::EACCES],
            "the node's mode is closed, also to the helper",
            (ClosedNode, "and so not its tunctl-helper"),
            || step(Step::OpenNode, Errno::EACCES),
        ),
        here(
            Operation::Create,
            &[Errno::ENODEV],
            "the driver is not loaded, by the helper",
            (MissingDriver, "modprobe tun"),
            || step(Step::OpenNode, Errno::ENODEV),
        ),
        here(
            Operation::SetMtu,
            &[Errno::EINVAL],
            "a new interface cannot have it, by the helper",
            (InvalidMtu, "65521"),
            || step(Step::Configure, Errno::EINVAL),
        ),
        here(
            Operation::SetQueueLength,
            &[Errno::EPERM],
            "the kernel has no memory for it, by the helper",
            (tunctl_core::Cause::InvalidValue, "Choose a smaller"),
            || step(Step::Configure, Errno::EPERM),
        ),
        here(
            Operation::AddAddress,
            &[Errno::EACCES],
            "IPv6 is switched off, by the helper",
            (NoIpv6, "sysctl net.ipv6.conf"),
            || step(Step::AddAddress, Errno::EACCES),
        ),
    ]
}
