//! `cargo bench`: this program beside every other one that people start as ssh's `ProxyCommand`, and beside the least
//! that a relay can do. Start reading at `measure/mod.rs`; `cargo bench -- --help` tells what can be asked for.
#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot go on says why and stops")]
#![allow(clippy::cast_precision_loss, reason = "no count here comes near to what a float can hold")]

#[cfg(target_os = "linux")]
mod competitors;
#[cfg(target_os = "linux")]
mod floor;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod statistics;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let options = options::parse();
    machine::raise_descriptor_limit();
    relay::end_with_us().expect("signals can be watched");
    if options.one_core {
        machine::keep_to_one_core().expect("a core that we had remains ours");
    }
    let machine = machine::Machine::look();
    let competitors = competitors::gather(&options);
    report::table::head(&machine, &competitors);
    let experiments = measure::all(&options, &competitors);
    let verdicts = report::targets::judge(&experiments);
    report::table::targets(&verdicts);
    report::write(&options, &machine, &competitors, &experiments, &verdicts)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("cargo bench needs Linux: it measures splice, and reads /proc");
}
