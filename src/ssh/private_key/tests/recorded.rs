//! Key files that `ssh-keygen` and `openssl` have made, so that the tests need neither.
//!
//! `CONNECT_RECORD_KEYS=1 cargo test --lib private_key:: -- --test-threads 1` makes them again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const RECORDED: &str = include_str!("../testdata/keys.txt");

/// The directory of one test, in which programs make key files.
pub(super) struct Dir {
    name: &'static str,
    /// The number of commands so far.
    count: Cell<usize>,
    files: Files,
}

/// The files: recorded ones in memory, or a temporary directory while they are made again.
enum Files {
    Recorded(RefCell<BTreeMap<String, Vec<u8>>>),
    Made(PathBuf),
}

impl Dir {
    /// Creates a directory. The name must be unique.
    pub(super) fn new(name: &'static str) -> Self {
        let files = if std::env::var_os("CONNECT_RECORD_KEYS").is_some() {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("connect-keys-{}-{number}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Files::Made(path)
        } else {
            Files::Recorded(RefCell::default())
        };
        Self { name, count: Cell::new(0), files }
    }

    /// Runs a program in the directory, and returns its output. The arguments are separated by
    /// blanks; a `_` represents the empty argument.
    pub(super) fn run(&self, command: &str) -> Vec<u8> {
        let number = self.count.replace(self.count.get() + 1);
        let heading = format!("=== {} {number}: {command}\n", self.name);
        match &self.files {
            Files::Made(path) => make(path, command, &heading),
            Files::Recorded(files) => {
                let start = RECORDED.find(&heading).unwrap_or_else(|| panic!("not recorded: {heading}"));
                let entry = &RECORDED[start + heading.len()..];
                let entry = entry.split("=== ").next().unwrap();
                let mut output = Vec::new();
                for part in entry.split("--- ").skip(1) {
                    let (name, content) = part.split_once('\n').unwrap();
                    if name == "output" {
                        output = content.as_bytes().to_vec();
                    } else {
                        files.borrow_mut().insert(name.to_owned(), content.as_bytes().to_vec());
                    }
                }
                output
            }
        }
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        match &self.files {
            Files::Made(path) => fs::read(path.join(name)).unwrap(),
            Files::Recorded(files) => files.borrow()[name].clone(),
        }
    }

    pub(super) fn write(&self, name: &str, contents: &[u8]) {
        match &self.files {
            Files::Made(path) => {
                let path = path.join(name);
                fs::write(&path, contents).unwrap();
                assert!(Command::new("chmod").arg("600").arg(path).status().unwrap().success());
            }
            Files::Recorded(files) => drop(files.borrow_mut().insert(name.to_owned(), contents.to_vec())),
        }
    }

    pub(super) fn remove(&self, name: &str) {
        match &self.files {
            Files::Made(path) => fs::remove_file(path.join(name)).unwrap(),
            Files::Recorded(files) => drop(files.borrow_mut().remove(name).unwrap()),
        }
    }

    /// Makes an unencrypted key with `ssh-keygen`, and returns the contents of its file.
    pub(super) fn ssh_key(&self, name: &str, options: &str) -> Vec<u8> {
        self.run(&format!("ssh-keygen -q -N _ -C me@host -f {name} {options}"));
        self.read(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if let Files::Made(path) = &self.files {
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Runs a program, and appends its output and the files that it has written to the record.
fn make(directory: &Path, command: &str, heading: &str) -> Vec<u8> {
    let contents = || -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        entries.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
    };
    let before = contents();
    let mut words = command.split(' ').map(|word| if word == "_" { "" } else { word });
    let mut program = Command::new(words.next().unwrap());
    let program = program.args(words).current_dir(directory).stdin(Stdio::null());
    let output = program.output().unwrap_or_else(|error| panic!("{command}: {error}"));
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    let mut record = heading.to_owned();
    let changed = contents().into_iter().filter(|(name, content)| {
        before.get(name) != Some(content) && Path::new(name).extension().is_none_or(|end| end != "pub")
    });
    for (name, content) in changed.chain([("output".to_owned(), output.stdout.clone())]) {
        write!(record, "--- {name}\n{}", String::from_utf8(content).unwrap()).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ssh/private_key/testdata/keys.txt");
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(record.as_bytes()).unwrap();
    output.stdout
}
