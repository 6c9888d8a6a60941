//! The attacks, by what they are aimed at.

mod descriptors;
mod device;
mod hardening;
mod interface;
mod name;
mod namespace;
mod policy;
mod policy_text;
mod process_count;
mod process_rights;
mod process_signals;
mod process_start;
mod request;
mod support;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    let cases = [
        // First the slow ones, so that the others run beside them.
        policy::cases(),
        process_signals::cases(),
        descriptors::cases(),
        device::cases(),
        process_count::cases(),
        interface::cases(),
        namespace::cases(),
        name::cases(),
        policy_text::cases(),
        request::cases(),
        process_start::cases(),
        process_rights::cases(),
        hardening::cases(),
    ];
    tunctl_testing::main(cases.concat())
}
