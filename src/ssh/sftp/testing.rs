//! Files in memory, for tests.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::server::{Files, LongName};
use super::wire::{Attributes, FileSystem, Kind, Name, Open, StatusCode};

/// A file or a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) mode: u32,
    pub(super) data: Vec<u8>,
    /// The number of zeros after the data, which take no memory.
    pub(super) zeros: u64,
    pub(super) times: Option<(u32, u32)>,
    pub(super) is_synced: bool,
}

impl Node {
    pub(super) fn file(data: &[u8]) -> Self {
        Self { mode: 0o100_644, data: data.into(), ..Self::default() }
    }

    pub(super) fn of_mode(mode: u32) -> Self {
        Self { mode, ..Self::default() }
    }

    pub(super) fn size(&self) -> u64 {
        self.data.len() as u64 + self.zeros
    }

    fn attributes(&self) -> Attributes {
        Attributes { size: Some(self.size()), mode: Some(self.mode), times: self.times, owner: Some((1, 2)) }
    }

    fn set(&mut self, attributes: &Attributes) {
        self.mode = attributes.mode.map_or(self.mode, |mode| self.mode & 0o170_000 | mode & 0o7777);
        self.times = attributes.times.or(self.times);
        if let Some(size) = attributes.size {
            self.data.resize(usize::try_from(size).unwrap(), 0);
        }
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let left = usize::try_from(self.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        let start = usize::try_from(offset).unwrap().min(self.data.len());
        let data = &self.data[start..self.data.len().min(start + count)];
        buffer[..data.len()].copy_from_slice(data);
        buffer[data.len()..count].fill(0);
        count
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        self.is_synced = false;
        if offset >= self.data.len() as u64 && is_zero(data) {
            self.zeros = self.zeros.max(offset + data.len() as u64 - self.data.len() as u64);
            return;
        }
        assert_eq!(self.zeros, 0, "data after zeros");
        let start = usize::try_from(offset).unwrap();
        self.data.resize(self.data.len().max(start + data.len()), 0);
        self.data[start..start + data.len()].copy_from_slice(data);
    }
}

/// Returns `true` if all bytes are 0. Comparing slices is fast without optimization, too.
pub(super) fn is_zero(data: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    data.chunks(ZEROS.len()).all(|chunk| *chunk == ZEROS[..chunk.len()])
}

pub(super) type Tree = Rc<RefCell<BTreeMap<Vec<u8>, Node>>>;

/// The files by their paths.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) tree: Tree,
    /// The most bytes that a read returns.
    pub(super) max_read: usize,
    /// The number of open files and directories.
    pub(super) open: Rc<RefCell<usize>>,
}

type Result<T> = std::result::Result<T, StatusCode>;

impl Memory {
    pub(super) fn new(nodes: &[(&str, Node)]) -> Self {
        let tree = nodes.iter().map(|(path, node)| (path.as_bytes().to_vec(), node.clone()));
        let tree: BTreeMap<_, _> = tree.chain([(Vec::new(), Node::of_mode(0o040_755))]).collect();
        Self { tree: Rc::new(RefCell::new(tree)), max_read: usize::MAX, open: Rc::default() }
    }

    pub(super) fn node(&self, path: &str) -> Option<Node> {
        self.tree.borrow().get(path.as_bytes()).cloned()
    }

    pub(super) fn paths(&self) -> Vec<String> {
        let paths = self.tree.borrow();
        paths
            .keys()
            .filter(|path| !path.is_empty())
            .map(|path| String::from_utf8_lossy(path).into())
            .collect()
    }

    fn with<T>(&self, path: &[u8], f: impl FnOnce(&mut Node) -> T) -> Result<T> {
        self.tree.borrow_mut().get_mut(&key(path)).map(f).ok_or(StatusCode::NO_SUCH_FILE)
    }

    fn insert(&self, path: &[u8], node: Node) -> Result<()> {
        let path = key(path);
        let parent = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let kind = self.with(&path[..parent], |parent| parent.attributes().kind())?;
        if kind != Some(Kind::Directory) || self.tree.borrow().contains_key(&path) {
            return Err(StatusCode::FAILURE);
        }
        self.tree.borrow_mut().insert(path, node);
        Ok(())
    }
}

/// Returns the path from the root, without `.`.
fn key(path: &[u8]) -> Vec<u8> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    parts.collect::<Vec<_>>().join(&b'/')
}

impl Files for Memory {
    type File = Vec<u8>;
    type Directory = std::vec::IntoIter<Name>;

    fn open(&mut self, path: &[u8], flags: Open, attributes: &Attributes) -> Result<Vec<u8>> {
        let exists = self.tree.borrow().contains_key(&key(path));
        if !exists && flags.has(Open::CREATE) {
            self.insert(path, Node::of_mode(0o100_000 | attributes.mode.unwrap_or(0o666)))?;
        } else if flags.has(Open::EXCLUSIVE) && exists {
            return Err(StatusCode::FAILURE);
        }
        self.with(path, |node| {
            if flags.has(Open::TRUNCATE) {
                (node.data, node.zeros) = (Vec::new(), 0);
            }
        })?;
        *self.open.borrow_mut() += 1;
        Ok(key(path))
    }

    fn close(&mut self, _: Vec<u8>) -> Result<()> {
        *self.open.borrow_mut() -= 1;
        Ok(())
    }

    fn read(&mut self, file: &mut Vec<u8>, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let count = buffer.len().min(self.max_read);
        self.with(file, |node| node.read(offset, &mut buffer[..count]))
    }

    fn write(&mut self, file: &mut Vec<u8>, offset: u64, data: &[u8]) -> Result<()> {
        self.with(file, |node| node.write(offset, data))
    }

    fn sync(&mut self, file: &mut Vec<u8>) -> Result<()> {
        self.with(file, |node| node.is_synced = true)
    }

    fn file_attributes(&mut self, file: &mut Vec<u8>) -> Result<Attributes> {
        self.attributes(file, true)
    }

    fn set_file_attributes(&mut self, file: &mut Vec<u8>, attributes: &Attributes) -> Result<()> {
        self.set_attributes(file, attributes, true)
    }

    fn file_system_of(&mut self, file: &mut Vec<u8>) -> Result<FileSystem> {
        self.file_system(file)
    }

    fn open_directory(&mut self, path: &[u8]) -> Result<Self::Directory> {
        if self.attributes(path, true)?.kind() != Some(Kind::Directory) {
            return Err(StatusCode::FAILURE);
        }
        let prefix = [key(path), b"/".to_vec()].concat();
        let prefix = if prefix == b"/" { Vec::new() } else { prefix };
        let tree = self.tree.borrow();
        let own = [b".".to_vec(), b"..".to_vec()].map(|name| (name, Node::of_mode(0o040_755)));
        let children = tree.iter().filter_map(|(path, node)| {
            let name = path.strip_prefix(prefix.as_slice())?;
            (!name.is_empty() && !name.contains(&b'/')).then(|| (name.to_vec(), node.clone()))
        });
        let names = own.into_iter().chain(children).map(|(name, node)| {
            let attributes = node.attributes();
            let long_name = LongName {
                name: &name,
                attributes: &attributes,
                links: 1,
                user: b"me",
                group: b"",
                now: 0,
                utc_offset: 0,
            };
            Name { long_name: long_name.format(), name, attributes }
        });
        Ok(names.collect::<Vec<_>>().into_iter())
    }

    fn read_directory(&mut self, directory: &mut Self::Directory, max: usize) -> Result<Vec<Name>> {
        Ok(directory.take(max).collect())
    }

    fn attributes(&mut self, path: &[u8], _: bool) -> Result<Attributes> {
        self.with(path, |node| node.attributes())
    }

    fn set_attributes(&mut self, path: &[u8], attributes: &Attributes, _: bool) -> Result<()> {
        self.with(path, |node| node.set(attributes))
    }

    fn remove(&mut self, path: &[u8]) -> Result<()> {
        self.tree.borrow_mut().remove(&key(path)).map(drop).ok_or(StatusCode::NO_SUCH_FILE)
    }

    fn make_directory(&mut self, path: &[u8], attributes: &Attributes) -> Result<()> {
        self.insert(path, Node::of_mode(0o040_000 | attributes.mode.unwrap_or(0o777)))
    }

    fn remove_directory(&mut self, path: &[u8]) -> Result<()> {
        self.remove(path)
    }

    fn real_path(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        Ok([b"/".to_vec(), key(path)].concat())
    }

    fn expand_path(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        self.real_path(path.strip_prefix(b"~").unwrap_or(path))
    }

    fn rename(&mut self, from: &[u8], to: &[u8], replace: bool) -> Result<()> {
        if !replace && self.tree.borrow().contains_key(&key(to)) {
            return Err(StatusCode::FAILURE);
        }
        let node = self.tree.borrow_mut().remove(&key(from)).ok_or(StatusCode::NO_SUCH_FILE)?;
        self.tree.borrow_mut().insert(key(to), node);
        Ok(())
    }

    fn read_link(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        self.with(path, |node| node.data.clone())
    }

    fn symbolic_link(&mut self, target: &[u8], link: &[u8]) -> Result<()> {
        self.insert(link, Node { mode: 0o120_777, ..Node::file(target) })
    }

    fn hard_link(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let node = self.with(from, |node| node.clone())?;
        self.insert(to, node)
    }

    fn file_system(&mut self, _: &[u8]) -> Result<FileSystem> {
        Ok(FileSystem { block_size: 4096, max_name: 255, ..FileSystem::default() })
    }

    fn user_name(&mut self, id: u32) -> Option<Vec<u8>> {
        (id == 1).then(|| b"me".to_vec())
    }

    fn group_name(&mut self, id: u32) -> Option<Vec<u8>> {
        (id == 2).then(|| b"us".to_vec())
    }
}
