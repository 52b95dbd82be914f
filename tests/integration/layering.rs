//! Rules for the source: imports follow the layers without cycles, and only some modules may
//! contain `unsafe` code, platform-specific code or I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use source::{Module, ModulePath, dependencies, files, modules, modules_in};

pub(crate) mod source;

/// The modules, from the top layer to the bottom. Except as listed in [`ALLOWED`], a module imports
/// only from layers below its own.
pub(crate) const LAYERS: [&[&str]; 16] = [
    &["main"],
    &["lib"],
    &["check", "hub", "mint", "remote"],
    &["listen"],
    &["connector"],
    &["cli", "config", "net", "prompt", "relay"],
    &["hops"],
    &["tunnels"],
    &["error", "plan", "trace"],
    &["codecs"],
    &["stream"],
    &["proto", "sys"],
    &["ssh"],
    &["token"],
    &["addr", "bypass", "secret", "text"],
    &["parameters"],
];

/// The imports that are allowed within a layer, as (importing module, imported module).
const ALLOWED: [(&str, &str); 7] = [
    ("bypass", "addr"), // patterns match hosts
    ("config", "cli"),  // the plan is made from the arguments
    ("error", "plan"),  // a message names a hop
    ("trace", "plan"),  // `-d` prints the plan
    ("addr", "text"),   // an invalid host name is quoted
    ("addr", "secret"), // unless it may be a password
    ("secret", "text"), // a password file may begin with a byte order mark
];

fn layer(module: &str) -> usize {
    let found = LAYERS.iter().position(|modules| modules.contains(&module));
    found.unwrap_or_else(|| panic!("src/{module} is in no layer: add it to LAYERS"))
}

#[test]
fn imports_go_down_the_layers() {
    let modules = modules();
    let mut seen = BTreeSet::new();
    for module in &modules {
        let top = module.top();
        for imported in module.imported_tops() {
            assert!(
                ALLOWED.contains(&(top, imported)) || layer(top) < layer(imported),
                "{} imports {imported}, which is not in a lower layer",
                module.file.display()
            );
            seen.insert((top, imported));
        }
    }
    assert!(seen.len() > 20, "only {} imports found: the search is broken", seen.len());
    for (module, imported) in ALLOWED {
        assert!(
            seen.contains(&(module, imported)),
            "{module} no longer imports {imported}: remove it from ALLOWED"
        );
    }
}

#[test]
fn files_have_no_import_cycles() {
    for (directory, min_edges) in [("src", 100), ("benches", 20)] {
        let modules = modules_in(directory);
        let dependencies = dependencies(&modules);
        let edges: usize = dependencies.values().map(BTreeSet::len).sum();
        assert!(edges > min_edges, "only {edges} dependencies found in {directory}: the search is broken");
        let cycles = cycles(&dependencies);
        assert!(cycles.is_empty(), "circular imports in {directory}:\n{}", cycles.join("\n"));
    }
}

/// Returns each group of files whose dependencies form a cycle.
fn cycles(dependencies: &BTreeMap<&ModulePath, BTreeSet<&ModulePath>>) -> Vec<String> {
    let reachable = |from: &ModulePath| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(next) = open.pop() {
            for target in dependencies.get(&next).into_iter().flatten() {
                if seen.insert((*target).clone()) {
                    open.push((*target).clone());
                }
            }
        }
        seen
    };
    let reachable: BTreeMap<_, _> = dependencies.keys().map(|file| (*file, reachable(file))).collect();
    let circle = |(file, seen): (&&ModulePath, &BTreeSet<ModulePath>)| {
        let mutual =
            seen.iter().filter(|other| reachable.get(other).is_some_and(|back| back.contains(*file)));
        let names: BTreeSet<_> = mutual.map(|path| path.join("::")).collect();
        (names.len() > 1).then(|| names.into_iter().collect::<Vec<_>>().join(" ↔ "))
    };
    reachable.iter().filter_map(circle).collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn unsafe_code_and_system_differences_stay_in_sys() {
    for module in modules().iter().filter(|module| module.top() != "sys") {
        let file = module.file.display();
        assert!(!module.has_unsafe_code, "{file} has unsafe code");
        for condition in ["unix", "windows", "target_os", "target_env", "target_family"] {
            let is_entry = module.top() == "main" && condition == "unix";
            assert!(is_entry || !module.conditions.contains(condition), "{file} has cfg({condition})");
        }
        let system = module.foreign.iter().find(|path| path.starts_with("std::os::"));
        assert!(system.is_none(), "{file} uses {system:?}");
    }
}

/// The function that starts a child process also decides what the child inherits.
#[test]
fn only_one_function_starts_child_processes() {
    let modules = modules();
    let with = |names: &[&str]| {
        let uses =
            modules.iter().filter(|module| names.iter().any(|name| module.identifiers.contains(*name)));
        uses.map(|module| module.path.join("::")).collect::<Vec<_>>()
    };
    assert_eq!(with(&["posix_spawn", "vfork", "execv", "execve"]), [""; 0]);
    // `--background` continues the same program.
    assert_eq!(with(&["fork"]), ["sys::unix::background"]);
    let commands = modules.iter().filter(|module| module.foreign.contains("std::process::Command"));
    for module in commands {
        assert_eq!(module.top(), "sys", "{} uses std::process::Command", module.file.display());
    }
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    let starts = |text: String| text.matches(".spawn()").count() + text.matches(".status()").count();
    let starting: Vec<_> = modules
        .iter()
        .filter(|module| module.foreign.contains("std::process::Command") && starts(text(&module.file)) > 0)
        .map(|module| (module.path.join("::"), starts(text(&module.file))))
        .collect();
    assert_eq!(starting, [("sys::command".to_owned(), 1)]);
}

#[test]
fn the_protocol_machines_do_no_input_or_output() {
    // A duration is a number: the driver tells the time.
    const ALLOWED: &str = "std::time::Duration";
    const FORBIDDEN: [&str; 6] =
        ["std::net::Tcp", "std::io", "std::time", "std::env", "std::fs", "std::thread"];
    let modules = modules();
    let machines: Vec<&Module> =
        modules.iter().filter(|module| ["proto", "ssh"].contains(&module.top())).collect();
    assert!(machines.len() > 10);
    for module in machines {
        let forbidden = |path: &&String| {
            path.as_str() != ALLOWED && FORBIDDEN.iter().any(|prefix| path.starts_with(prefix))
        };
        let found = module.foreign.iter().find(forbidden);
        assert!(found.is_none(), "{} uses {found:?}", module.file.display());
    }
}

#[test]
fn the_threat_model_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let mut tests = String::new();
    for path in
        ["src", "tests/integration", "fuzz/targets"].map(|directory| files(&root.join(directory))).concat()
    {
        tests += &path.file_stem().unwrap().to_string_lossy();
        tests += &fs::read_to_string(path).unwrap();
    }
    let quoted = document.split('`').skip(1).step_by(2);
    let names = quoted.flat_map(|name| name.split("::")).filter(|name| name.contains('_'));
    let names: Vec<_> =
        names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || "_…".contains(c))).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(tests.contains(name.trim_end_matches('…')), "the threat model names {name}");
    }
    for suite in document.split('`').filter_map(|name| name.strip_prefix("tests/")) {
        assert!(root.join("tests").join(suite).exists(), "the threat model names tests/{suite}");
    }
}
