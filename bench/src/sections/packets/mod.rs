//! What one `recv` and one `send` cost: raw system calls, ours, and other libraries, side by side.

mod devices;
mod figures;
mod methods;
pub(crate) mod mock;
pub(crate) mod queues;
pub(crate) mod raw;
mod report;
mod rounds;
pub(crate) mod soak;
mod task;
mod traffic;

use std::time::Duration;

use self::devices::Devices;
use self::figures::Figures;
use crate::results::Row;

/// Measures for so long, and prints what other libraries cost, too.
pub(crate) fn run(time: Duration) -> Result<Vec<Row>, String> {
    traffic::settle_namespace();
    let devices = Devices::open()?;
    let subjects = devices.subjects();
    let measurement = rounds::run(&subjects, time).map_err(|error| {
        format!("{error}. Try again on a quieter machine; if it stays so, strace shows what the calls do.")
    })?;
    let figures = Figures::new(&subjects, &measurement).ok_or("nothing was measured")?;
    println!("{}\n", report::text(&figures, &measurement));
    Ok(figures.rows())
}
