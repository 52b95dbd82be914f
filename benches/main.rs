//! `cargo bench`: compares this program with other programs that people use as ssh's
//! `ProxyCommand`, and with a minimal relay. Start reading at `measure/mod.rs`. For the options,
//! run `cargo bench -- --help`.
#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot continue says why and stops")]
#![allow(clippy::cast_precision_loss, reason = "no count here comes near the limit of an f64")]

#[cfg(target_os = "linux")]
mod baseline;
#[cfg(target_os = "linux")]
mod competitors;
#[cfg(target_os = "linux")]
mod experiment;
#[cfg(target_os = "linux")]
mod flow;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
#[path = "../tests/kit/proxy.rs"]
mod proxy;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(target_os = "linux")]
mod remote;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod statistics;
#[cfg(target_os = "linux")]
mod tunnels;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let options = options::parse(competitors::peer_names().chain(tunnels::peer_names()));
    machine::raise_descriptor_limit();
    relay::kill_on_termination().expect("signal handlers can be installed");
    if options.one_core {
        machine::pin_to_one_core().expect("the affinity can be restricted");
    }
    let machine = machine::Machine::detect();
    let competitors = competitors::find_all(&options);
    report::table::print_head(&machine, &competitors);
    let experiments = measure::run_all(&options, &competitors, report::table::print_experiment);
    let verdicts = report::goals::judge(&experiments);
    report::table::print_goals(&verdicts);
    report::write(&options, &machine, &competitors, &experiments, &verdicts)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("cargo bench needs Linux: it measures splice(2) and reads /proc");
}
