//! Why the privileged helper created no interface.

use std::path::Path;

use nix::errno::Errno;
use tunctl_core::{Cause, CreateOptions, Operation, Reason};
use tunctl_helper::protocol::{Refusal, Step};

use super::{Attempt, CallerContext, attach, configure, from_errno, ipv6_is_off, node};

/// What the helper was asked for.
pub(crate) struct Helped<'a> {
    pub(crate) attempt: Attempt<'a>,
    pub(crate) options: &'a CreateOptions,
}

/// The helper has refused. A step that the kernel refused to the helper is reported under its own operation,
/// as if the program had taken it.
pub(crate) fn helper_refused(refusal: Refusal, helped: Helped<'_>) -> (Option<Operation>, Reason) {
    let reason = match refusal {
        // Of a pattern, each number is taken.
        Refusal::Exists if helped.attempt.name.is_none() => {
            return kernel(Step::Create, Errno::EEXIST, helped);
        }
        Refusal::Exists => return kernel(Step::Create, Errno::EBUSY, helped),
        Refusal::Kernel { step, errno } => return kernel(step, Errno::from_raw(errno), helped),
        Refusal::Busy => Reason::new(Cause::Busy)
            .with_detail("tunctl-helper serves another program of this user, and that has not ended in time")
            .with_remedy("Try again."),
        Refusal::Malformed => unusable_helper("is of another version than this program"),
        refusal => right(refusal).unwrap_or_else(|| policy(refusal)),
    };
    (None, reason)
}

/// The helper serves no program, or not as it is.
pub(crate) fn unusable_helper(what: impl std::fmt::Display) -> Reason {
    Reason::new(Cause::UnusableHelper)
        .with_detail(format!("tunctl-helper {what}"))
        .with_remedy("Install it again, in the version of this program: sudo tunctl helper install.")
}

/// The helper has not the right that it needs, or has too many.
fn right(refusal: Refusal) -> Option<Reason> {
    let (cause, detail, remedy) = match refusal {
        Refusal::SetId => (
            Cause::UnusableHelper,
            "tunctl-helper runs with another user or group id than its caller: it, or this program, has a \
             set-user-ID or set-group-ID bit",
            "Start it from a program without such a bit, and install it again: sudo tunctl helper install.",
        ),
        Refusal::NotGranted => (
            Cause::MissingCapability,
            "the file of tunctl-helper does not have the capability CAP_NET_ADMIN: a copy has none",
            "Install it again: sudo tunctl helper install.",
        ),
        Refusal::NoNewPrivileges => (
            Cause::Sandboxed,
            "this program, or its supervisor, has forbidden that programs gain rights (no_new_privs), so \
             tunctl-helper has none",
            "Start it without: NoNewPrivileges=no of a systemd service, which many of its other settings \
             switch on; a container without --security-opt no-new-privileges. Or have the supervisor open \
             the interface, and hand it over.",
        ),
        Refusal::NosuidMount => (
            Cause::MissingCapability,
            "the file system of tunctl-helper is mounted with nosuid, so its capability does not count",
            "Mount it without, or install the helper on another one: sudo tunctl helper install --program FILE.",
        ),
        Refusal::BoundingSet => (
            Cause::MissingCapability,
            "CAP_NET_ADMIN is not in the bounding set of this program, so tunctl-helper cannot have it",
            "Start the container with --cap-add NET_ADMIN; of a systemd service, let \
             CapabilityBoundingSet= contain CAP_NET_ADMIN.",
        ),
        Refusal::Traced => (
            Cause::MissingCapability,
            "a debugger traces tunctl-helper, as strace -f does, so the kernel withholds its capability",
            "Trace only this program, without what it starts; or trace it as root: sudo strace -f -u USER.",
        ),
        _ => return None,
    };
    Some(Reason::new(cause).with_detail(detail).with_remedy(remedy))
}

/// The policy does not allow it.
fn policy(refusal: Refusal) -> Reason {
    const EDIT: &str = "Root edits it: /etc/tunctl/policy.toml. `tunctl policy check` says what is wrong.";
    let mut limit = String::new();
    let (detail, remedy) = match refusal {
        Refusal::NoPolicy => (
            "tunctl-helper has no policy, and allows nothing without one",
            Some(
                "Root writes it, from an example: tunctl policy example | sudo install -Dm644 /dev/stdin \
                 /etc/tunctl/policy.toml.",
            ),
        ),
        Refusal::UnsafePolicy => (
            "the policy of tunctl-helper is not believed: somebody else than root could have written it",
            Some(
                "Give /etc/tunctl/policy.toml and its folder to root, writable by nobody else: sudo chown \
                 root:root, sudo chmod go-w. `tunctl policy check` says what is wrong.",
            ),
        ),
        Refusal::InvalidPolicy => ("the policy of tunctl-helper is invalid", Some(EDIT)),
        Refusal::NoRule => ("no rule of tunctl-helper's policy is about this user", None),
        Refusal::Namespace => (
            "the policy of tunctl-helper allows nothing in this network namespace",
            Some(
                "In a namespace of your own you need no helper: unshare --user --map-root-user --net. Root \
                 can name a namespace in the policy: namespaces = [\"/run/netns/NAME\"].",
            ),
        ),
        Refusal::Layer => ("the policy of tunctl-helper allows no interface of this layer", None),
        Refusal::Name => ("the policy of tunctl-helper allows no such name", None),
        Refusal::Address => ("the policy of tunctl-helper does not allow one of the addresses", None),
        Refusal::Routed => (
            "one of the addresses is in a network to which the system has a route already",
            Some("Choose an address of another network: ip route shows which there are."),
        ),
        Refusal::Mtu => ("the policy of tunctl-helper does not allow the MTU", None),
        Refusal::QueueLength => ("the policy of tunctl-helper does not allow the queue length", None),
        Refusal::TooMany { limit: most } => {
            limit = format!("this user has as many interfaces as the policy of tunctl-helper allows: {most}");
            ("", Some("Close one that is not needed: `tunctl list` shows them."))
        }
        _ => ("tunctl-helper has refused, for a reason that this program does not know", None),
    };
    let reason = Reason::new(Cause::ForbiddenByPolicy);
    let reason = if limit.is_empty() { reason.with_detail(detail) } else { reason.with_detail(limit) };
    remedy.into_iter().fold(reason, Reason::with_remedy)
}

/// The kernel has refused a step to the helper, which has the right.
fn kernel(step: Step, errno: Errno, helped: Helped<'_>) -> (Option<Operation>, Reason) {
    let Helped { attempt, options } = helped;
    let context =
        CallerContext { net_admin: true, governs: true, net_admin_in_reach: true, ..Default::default() };
    let config = options.get_config();
    let operation = match step {
        Step::SetOwner => Some(Operation::SetOwner),
        Step::SetMac => Some(Operation::SetMac),
        // One request has both. The driver's refusal of a length is EPERM.
        Step::Configure if config.get_queue_length().is_some() && errno == Errno::EPERM => {
            Some(Operation::SetQueueLength)
        }
        Step::Configure if config.get_mtu().is_some() => Some(Operation::SetMtu),
        Step::Configure if config.get_queue_length().is_some() => Some(Operation::SetQueueLength),
        Step::AddAddress => Some(Operation::AddAddress),
        Step::Up => Some(Operation::Up),
        _ => None,
    };
    let reason = match (step, operation, errno) {
        (Step::OpenNode, _, Errno::EACCES) => Reason::new(Cause::ClosedNode)
            .with_detail(
                "the mode of /dev/net/tun does not let this user open it, and so not its tunctl-helper",
            )
            .with_remedy(
                "Have root open the node: sudo chmod 0666 /dev/net/tun. (Creating an interface still takes \
                 the capability, or the helper.)",
            ),
        (Step::OpenNode, ..) => node(errno, Path::new("/dev/net/tun"), &context),
        (Step::Create, ..) => attach(errno, attempt, &context),
        (Step::AddAddress, _, Errno::EACCES) => match attempt.name {
            Some(name) => ipv6_is_off(&name),
            None => Reason::new(Cause::NoIpv6)
                .with_remedy("Switch it on: sudo sysctl net.ipv6.conf.default.disable_ipv6=0."),
        },
        (_, Some(operation), _) => configure(errno, operation, &context),
        _ => from_errno(errno),
    };
    (operation, reason.with_errno(errno as i32))
}
