//! Parses the program's source into modules and their imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Meta, UseTree, Visibility};

/// A path of identifiers, such as `crate::net::dial`, without the leading `crate`.
pub(crate) type ModulePath = Vec<String>;

/// A source file, which is one module.
pub(crate) struct Module {
    /// The path of the module in the crate; empty for `lib.rs`.
    pub(crate) path: ModulePath,
    pub(crate) file: PathBuf,
    /// The paths into this crate that the module contains, in absolute form.
    names: BTreeSet<ModulePath>,
    /// The names introduced by the module's `use` items, and the absolute paths that they refer to.
    imports: BTreeMap<String, ModulePath>,
    /// The identifiers in the module's code, including macro calls and attributes.
    pub(crate) identifiers: BTreeSet<String>,
    /// The identifiers in the module's `cfg` attributes.
    pub(crate) conditions: BTreeSet<String>,
    /// Paths into other crates, such as `std::os::fd`.
    pub(crate) foreign: BTreeSet<String>,
    pub(crate) has_unsafe_code: bool,
}

impl Module {
    /// Returns the first component of the module's path; `main` or `lib` for the two crate roots.
    pub(crate) fn top(&self) -> &str {
        match self.path.first() {
            Some(top) => top,
            None if self.file.ends_with("main.rs") => "main",
            None => "lib",
        }
    }

    /// Returns the other top-level modules that this one imports from.
    pub(crate) fn imported_tops(&self) -> BTreeSet<&str> {
        let tops = self.names.iter().filter_map(|path| path.first()).map(String::as_str);
        tops.filter(|top| *top != self.top()).collect()
    }
}

/// Returns all `.rs` files below a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Parses the program's modules, without unit tests.
pub(crate) fn modules() -> Vec<Module> {
    modules_in("src")
}

/// Parses the modules of the crate in a directory.
pub(crate) fn modules_in(directory: &str) -> Vec<Module> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let module = |file: PathBuf| {
        let inside = file.strip_prefix(&src).unwrap().with_extension("");
        let mut path: Vec<_> = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        path.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
        (!path.iter().any(|part| part == "tests")).then(|| {
            let text = fs::read_to_string(&file).unwrap();
            parse(path, file, &text)
        })
    };
    files(&src).into_iter().filter_map(module).collect()
}

pub(crate) fn parse(path: ModulePath, file: PathBuf, text: &str) -> Module {
    let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut collector = Collector { module: empty(path, file), inline: Vec::new() };
    collector.visit_file(&syntax);
    collector.module
}

fn empty(path: ModulePath, file: PathBuf) -> Module {
    Module {
        path,
        file,
        names: BTreeSet::new(),
        imports: BTreeMap::new(),
        identifiers: BTreeSet::new(),
        conditions: BTreeSet::new(),
        foreign: BTreeSet::new(),
        has_unsafe_code: false,
    }
}

/// Returns the files that each file depends on. A re-export (`pub use`) is not a dependency itself;
/// it is followed to the file that defines the item.
pub(crate) fn dependencies(modules: &[Module]) -> BTreeMap<&ModulePath, BTreeSet<&ModulePath>> {
    let by_path: BTreeMap<_, _> = modules.iter().map(|module| (&module.path, module)).collect();
    let library = modules.iter().filter(|module| module.top() != "main");
    library
        .map(|module| {
            let targets = module.names.iter().filter_map(|name| resolve(name, &by_path, 0));
            (&module.path, targets.filter(|target| **target != module.path).collect())
        })
        .collect()
}

/// Returns the file that defines the item that `name` refers to.
fn resolve<'a>(
    name: &[String],
    modules: &BTreeMap<&'a ModulePath, &'a Module>,
    depth: usize,
) -> Option<&'a ModulePath> {
    let longest = (0..=name.len()).rev().find_map(|end| {
        let module = modules.get(&name[..end].to_vec())?;
        Some((*module, &name[end..]))
    });
    let (module, rest) = longest?;
    match rest.first().and_then(|first| module.imports.get(first)) {
        Some(behind) if depth < 8 && *behind != name => {
            let behind: Vec<_> = behind.iter().chain(&rest[1..]).cloned().collect();
            resolve(&behind, modules, depth + 1)
        }
        _ => Some(&module.path),
    }
}

/// Collects the paths and identifiers in a module.
struct Collector {
    module: Module,
    /// The inline modules around the item that is being visited.
    inline: Vec<String>,
}

impl Collector {
    /// Returns the absolute form of a path that begins in this crate. Records any other path as
    /// foreign, and returns `None`.
    fn record(&mut self, segments: &[String]) -> Option<ModulePath> {
        let here: Vec<_> = self.module.path.iter().chain(&self.inline).cloned().collect();
        let (first, rest) = segments.split_first()?;
        let absolute = match first.as_str() {
            "crate" => rest.to_vec(),
            "self" => here.into_iter().chain(rest.iter().cloned()).collect(),
            "super" => {
                let ups = segments.iter().take_while(|segment| *segment == "super").count();
                let base = here.len().checked_sub(ups)?;
                here[..base].iter().chain(&segments[ups..]).cloned().collect()
            }
            _ => {
                self.module.foreign.insert(segments.join("::"));
                return None;
            }
        };
        Some(absolute)
    }

    fn tree(&mut self, tree: &UseTree, prefix: &mut Vec<String>, is_public: bool) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.tree(&path.tree, prefix, is_public);
                prefix.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, prefix, is_public);
                }
            }
            UseTree::Glob(_) => {
                if let Some(path) = self.record(prefix) {
                    self.module.names.insert(path);
                }
            }
            UseTree::Name(name) => self.leaf(prefix, &name.ident.to_string(), None, is_public),
            UseTree::Rename(rename) => {
                self.leaf(prefix, &rename.ident.to_string(), Some(rename.rename.to_string()), is_public);
            }
        }
    }

    fn leaf(&mut self, prefix: &[String], name: &str, alias: Option<String>, is_public: bool) {
        let mut segments = prefix.to_vec();
        if name != "self" {
            segments.push(name.to_owned());
        }
        // `use child::Name` is relative to this module, like `self::child::Name`.
        if self.is_child(&segments) {
            segments.insert(0, "self".to_owned());
        }
        let Some(path) = self.record(&segments) else { return };
        let alias = alias.or_else(|| segments.last().cloned()).unwrap_or_default();
        if self.inline.is_empty() {
            self.module.imports.insert(alias, path.clone());
        }
        if !is_public {
            self.module.names.insert(path);
        }
    }

    /// Returns `true` if the path begins with a child module that has its own file.
    fn is_child(&self, segments: &[String]) -> bool {
        // On case-insensitive file systems, `Connector` would match connector.rs.
        let Some(first) = segments.first().filter(|name| **name == name.to_lowercase()) else { return false };
        let directory = match self.module.file.file_stem().and_then(|stem| stem.to_str()) {
            Some("mod" | "lib" | "main") | None => self.module.file.parent().map(Path::to_path_buf),
            Some(_) => Some(self.module.file.with_extension("")),
        };
        directory.is_some_and(|directory| {
            directory.join(format!("{first}.rs")).exists() || directory.join(first).join("mod.rs").exists()
        })
    }

    /// Scans unparsed tokens, such as those in a macro call, for paths and identifiers.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    let ident = ident.to_string();
                    self.module.identifiers.insert(ident.clone());
                    if colons != 2 {
                        self.end_of_path(&mut path);
                    }
                    path.push(ident);
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.end_of_path(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.end_of_path(&mut path);
    }

    fn end_of_path(&mut self, path: &mut Vec<String>) {
        let segments = std::mem::take(path);
        if segments.len() > 1
            && let Some(absolute) = self.record(&segments)
        {
            self.module.names.insert(absolute);
        }
    }
}

/// Returns `true` if an item with these attributes exists only in tests.
fn is_test(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::Path(path) => path.is_ident("test"),
        Meta::NameValue(_) => false,
    };
    attributes.iter().any(is_test)
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        for attribute in &item.attrs {
            self.visit_attribute(attribute);
        }
        if let Some((_, items)) = &item.content {
            self.inline.push(item.ident.to_string());
            for item in items {
                self.visit_item(item);
            }
            self.inline.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for attribute in &item.attrs {
            self.visit_attribute(attribute);
        }
        let is_public = !matches!(item.vis, Visibility::Inherited);
        self.tree(&item.tree, &mut Vec::new(), is_public);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 && self.is_child(&segments) {
            segments.insert(0, "self".to_owned());
        }
        self.end_of_path(&mut segments);
        visit::visit_path(self, path);
    }

    fn visit_ident(&mut self, ident: &'ast proc_macro2::Ident) {
        self.module.identifiers.insert(ident.to_string());
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let Meta::List(list) = &attribute.meta else { return };
        if list.path.is_ident("cfg") || list.path.is_ident("cfg_attr") {
            let mut conditions = empty(Vec::new(), PathBuf::new());
            let mut collector = Collector { module: conditions, inline: Vec::new() };
            collector.tokens(list.tokens.clone());
            conditions = collector.module;
            self.module.conditions.append(&mut conditions.identifiers);
        }
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.module.has_unsafe_code = true;
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.module.has_unsafe_code |= signature.unsafety.is_some();
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.module.has_unsafe_code |= item.unsafety.is_some();
        visit::visit_item_impl(self, item);
    }
}

#[test]
fn imports_are_found_in_groups_macros_and_paths_but_not_in_comments_and_strings() {
    let text = r#"
        //! crate::doc::Nothing
        use crate::{net::{self, dial::Dial}, error::Error as Failure};
        use super::sibling::Thing;
        // crate::comment::Nothing
        fn f() -> crate::plan::Plan {
            let _ = "crate::string::Nothing // crate::string::Nothing"; let _ = crate::text::shown();
            trace!("{}", crate::secret::masked("x"));
        }
        #[cfg(test)] mod tests { use crate::only_in_tests::Nothing; }
    "#;
    let module = parse(vec!["a".into(), "b".into()], "src/a/b.rs".into(), text);
    let tops: Vec<_> = module.names.iter().map(|path| path[0].as_str()).collect();
    assert_eq!(tops, ["a", "error", "net", "net", "plan", "secret", "text"]);
    assert_eq!(module.imports["Failure"], ["error", "Error"]);
    assert!(!module.identifiers.contains("Nothing"));
}

#[test]
fn unsafe_code_and_conditions_are_found_where_they_are() {
    let module = parse(vec!["a".into()], "src/a.rs".into(), "#[cfg(unix)] fn f() { unsafe { g() } }");
    assert!(module.has_unsafe_code && module.conditions.contains("unix"));
    let module = parse(vec!["a".into()], "src/a.rs".into(), "/// unsafe\nfn f() { g(\"unsafe cfg(unix)\") }");
    assert!(!module.has_unsafe_code && module.conditions.is_empty());
}
