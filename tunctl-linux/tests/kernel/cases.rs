//! The cases, by what they are about.

mod addresses;
mod adopt;
mod adopt_refused;
mod adopt_unprivileged;
mod answers;
mod attach;
mod create;
mod error_table;
mod errors;
mod events;
mod filters;
mod flags;
mod helper;
mod leaks;
mod lifetime;
mod link;
mod list;
mod malformed;
mod many;
mod mtu;
mod names;
mod namespace_refusals;
mod namespace_values;
mod namespaces;
mod observe;
mod offloads;
mod owner;
mod packet_info;
mod permission;
mod persistent;
mod pump;
mod queues;
mod rivals;
mod sharing;
mod state;
mod support;
mod surprises;
mod syscalls;
mod traffic;
mod undo;
mod unprivileged_destroy;
mod waiting;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    if let Some(ended) = helper::fake::main() {
        return ended;
    }
    let cases = [
        // First the slow one, so that the others run beside it.
        leaks::cases(),
        helper::cases(),
        pump::cases(),
        rivals::cases(),
        answers::cases(),
        undo::cases(),
        create::cases(),
        attach::cases(),
        adopt::cases(),
        adopt_refused::cases(),
        adopt_unprivileged::cases(),
        queues::cases(),
        filters::cases(),
        names::cases(),
        flags::cases(),
        persistent::cases(),
        lifetime::cases(),
        unprivileged_destroy::cases(),
        addresses::cases(),
        state::cases(),
        mtu::cases(),
        owner::cases(),
        permission::cases(),
        errors::cases(),
        error_table::cases(),
        traffic::cases(),
        packet_info::cases(),
        malformed::cases(),
        waiting::cases(),
        namespaces::cases(),
        namespace_values::cases(),
        namespace_refusals::cases(),
        list::cases(),
        link::cases(),
        many::cases(),
        sharing::cases(),
        observe::cases(),
        offloads::cases(),
        events::cases(),
        surprises::cases(),
        syscalls::cases(),
    ];
    tunctl_testing::main(cases.concat())
}
