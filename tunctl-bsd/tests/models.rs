//! The models of the drivers, held against what is known of the systems.

#[path = "models/mod.rs"]
mod models;

use models::{Model, System};
use tunctl_bsd::Calls;

#[test]
fn freebsd_opens() {
    let model = Model::new(System::FreeBsd);
    let tun = model.open("/dev/tun").unwrap();
    assert_eq!(model.report("tun0").map(|report| report.is_open), Some(true));
    drop(tun);
}
