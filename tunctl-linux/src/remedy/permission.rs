//! Which right is missing.

use tunctl_core::{Cause, Reason};

use super::CallerContext;

pub(super) fn unprivileged(context: &CallerContext) -> Reason {
    if context.net_admin && context.opened_without {
        return Reason::new(Cause::MissingCapability)
            .with_detail(
                "it was opened without CAP_NET_ADMIN, and the kernel checks the rights at its opening",
            )
            .with_remedy("Open it again, now that the program has the capability.");
    }
    if context.net_admin {
        return Reason::new(Cause::ForeignNamespace)
            .with_detail(
                "CAP_NET_ADMIN is held in another user namespace, not in the one that owns this network \
                 namespace",
            )
            .with_remedy(
                "Enter a network namespace together with the user namespace: \
                 unshare --user --map-root-user --net.",
            );
    }
    let missing = Reason::new(Cause::MissingCapability).with_detail("CAP_NET_ADMIN is missing");
    if context.container && !context.net_admin_in_reach {
        return missing.with_remedy("Start the container with --cap-add NET_ADMIN.");
    }
    missing.with_remedy(format!(
        "Run it with sudo, or give the program the capability: sudo setcap cap_net_admin=ep {}. To try it \
         without privilege, enter a new namespace: unshare --user --map-root-user --net.",
        context.program
    ))
}
