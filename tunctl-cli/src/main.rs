//! The command `tunctl`.

#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr, reason = "they panic where the stream cannot be written")]

mod command;

fn main() -> std::process::ExitCode {
    command::main()
}
