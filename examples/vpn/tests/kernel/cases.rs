//! The cases, by what they are about.

mod hostile;
mod interop;
mod lab;
mod ours;
mod routing;
mod traffic;
mod unprivileged;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    // First the slow ones, so that the others run beside them.
    let cases = [ours::cases(), interop::cases(), hostile::cases(), routing::cases(), unprivileged::cases()];
    tunctl_testing::main(cases.concat())
}
