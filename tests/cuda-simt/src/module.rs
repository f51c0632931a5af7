//! A module: its variables, and its kernels decoded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::decode::{self, Target};
use crate::registers::Slot;
use crate::scope::Scope;
use crate::special::Special;
use crate::step::{Instruction, Step};
use crate::text::{Item, Items, ParseError};
use crate::types::Type;

/// A PTX module, ready to run.
#[derive(Debug)]
pub struct Module {
    /// Its kernels, in the order of the text.
    pub kernels: Vec<Kernel>,
    /// Memory of the variables in `.global` and `.const`, at addresses that the code holds.
    variables: Vec<Box<[AtomicU64]>>,
    /// Bytes of the last piece that are taken.
    used: usize,
}

/// A parameter of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Where it lies in the parameters' memory.
    pub offset: usize,
    /// How long it is.
    pub bytes: usize,
}

/// A kernel, ready to run.
#[derive(Debug)]
pub struct Kernel {
    /// Its name.
    pub name: String,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    pub(crate) code: Vec<Instruction>,
    pub(crate) rows: usize,
    pub(crate) constants: Vec<(Slot, u64)>,
    pub(crate) specials: Vec<(Slot, Special)>,
    pub(crate) local_bytes: usize,
    static_shared: usize,
    dynamic_shared: usize,
}

impl Module {
    /// Reads and decodes a module.
    ///
    /// # Errors
    ///
    /// An instruction, a directive or an operand that this crate does not know, with its text and line.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut items = Items::new(text);
        let mut module = Self { kernels: Vec::new(), variables: Vec::new(), used: 0 };
        let mut outer = Outer::default();
        while let Some((line, item)) = items.next()? {
            let error = |problem: String| ParseError { line, problem };
            match item {
                Item::Directive(head) if head.contains(".entry") => {
                    let kernel = Body::read(&head, &mut items, &outer)?;
                    module.kernels.push(kernel);
                }
                Item::Directive(head) if head.contains(".func") => {
                    return Err(error(format!("functions are not supported: `{head}`")));
                }
                Item::Directive(_) => {}
                Item::Statement(text) if text.contains(".shared") => {
                    outer.shared.push(Variable::parse(&text).map_err(error)?);
                }
                Item::Statement(text) if text.contains(".global") || text.contains(".const") => {
                    let (name, address) = module.variable(&text).map_err(error)?;
                    outer.symbols.insert(name, address);
                }
                // Declarations of functions that nobody may call.
                Item::Statement(text) if text.contains(".func") || text.starts_with(".pragma") => {}
                other => return Err(error(format!("unexpected {other:?}"))),
            }
        }
        Ok(module)
    }

    /// Memory of the module's own variables, as start and end addresses.
    pub fn regions(&self) -> impl Iterator<Item = (u64, u64)> {
        self.variables.iter().map(|words| {
            let start = words.as_ptr().expose_provenance() as u64;
            (start, start + size_of_val::<[AtomicU64]>(words) as u64)
        })
    }

    /// Lays out a variable with its initial values; its name and address.
    fn variable(&mut self, text: &str) -> Result<(String, u64), String> {
        let (declaration, values) = text.split_once('=').unwrap_or((text, ""));
        let variable = Variable::parse(declaration)?;
        let start = self.place(variable.align.max(1), variable.bytes);
        let words = self.variables.last().ok_or("no memory for variables")?;
        let skipped = (start - words.as_ptr().addr() as u64) as usize;
        let values = values.trim().trim_start_matches('{').trim_end_matches('}');
        for (at, value) in values.split(',').map(str::trim).filter(|value| !value.is_empty()).enumerate() {
            let bits =
                decode::literal(value, variable.element).ok_or_else(|| format!("no value `{value}` in `{text}`"))?;
            let place = skipped + at * variable.element.bytes();
            let word = words.get(place / 8).ok_or("more values than a variable has room for")?;
            word.fetch_or(bits << (8 * (place % 8)), Ordering::Relaxed);
        }
        self.used = skipped + variable.bytes;
        Ok((variable.name, start))
    }

    /// An address for so many bytes, in the last piece of memory for variables or a new one.
    fn place(&mut self, align: usize, bytes: usize) -> u64 {
        if let Some(words) = self.variables.last() {
            let start = words.as_ptr().expose_provenance() as u64;
            let place = (start + self.used as u64).next_multiple_of(align as u64);
            if place + bytes as u64 <= start + size_of_val::<[AtomicU64]>(words) as u64 {
                return place;
            }
        }
        let words: Box<[AtomicU64]> = (0..(bytes + align).div_ceil(8).max(512)).map(|_| AtomicU64::new(0)).collect();
        let start = words.as_ptr().expose_provenance() as u64;
        self.variables.push(words);
        start.next_multiple_of(align as u64)
    }
}

impl Kernel {
    /// Bytes of shared memory that a block has if so many are asked for at launch.
    pub(crate) fn shared_bytes(&self, dynamic: u32) -> usize {
        if dynamic == 0 { self.static_shared } else { self.dynamic_shared + dynamic as usize }
    }

    /// Bytes of all parameters together.
    pub fn parameter_bytes(&self) -> usize {
        self.parameters.last().map_or(0, |last| last.offset + last.bytes)
    }

    /// Instructions of the kernel.
    pub fn instructions(&self) -> usize {
        self.code.len()
    }
}

/// A declared variable.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    name: String,
    element: Type,
    align: usize,
    bytes: usize,
    /// Whether its size is that of the launch (`.extern .shared x[]`).
    is_dynamic: bool,
}

impl Variable {
    /// Reads `.shared .align 16 .b8 tile[1024]`, `.param .u64 .ptr .global .align 1 p` and the like.
    fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let problem = || format!("no declaration: `{text}`");
        let element = words.iter().find_map(|word| Type::parse(word.strip_prefix('.')?)).ok_or_else(problem)?;
        let name_at = words.iter().rposition(|word| word.starts_with(|first: char| crate::text::is_name(first)));
        let name_at = name_at.ok_or_else(problem)?;
        let declarator = words[name_at..].concat();
        let (name, sizes) = declarator.split_once('[').unwrap_or((&declarator, "1]"));
        let count = match sizes.trim_end_matches(']') {
            "" => 0,
            sizes => sizes
                .split("][")
                .try_fold(1, |count, size| Some(count * size.parse::<usize>().ok()?))
                .ok_or_else(problem)?,
        };
        // A pointer's `.align` is that of what it points to.
        let is_pointer = words.contains(&".ptr");
        let align = words.iter().position(|word| *word == ".align").filter(|_| !is_pointer);
        let align = align.and_then(|at| words.get(at + 1)?.parse().ok()).unwrap_or(element.bytes());
        Ok(Self { name: name.to_owned(), element, align, bytes: count * element.bytes(), is_dynamic: count == 0 })
    }
}

/// What a kernel sees of the module around it.
#[derive(Default)]
struct Outer {
    symbols: HashMap<String, u64>,
    shared: Vec<Variable>,
}

/// The body of a kernel while it is decoded.
struct Body {
    scope: Scope,
    code: Vec<Instruction>,
    /// Instructions of labels, by the block of braces that each belongs to.
    labels: HashMap<(u32, String), usize>,
    /// Lists of labels (`.branchtargets`).
    lists: HashMap<String, Vec<String>>,
    /// Branches whose targets are not known yet, with the blocks that each lies in.
    branches: Vec<(usize, Target, Vec<u32>)>,
    /// The open blocks, the outermost first, and the number of the next one.
    open: Vec<u32>,
    next_block: u32,
}

impl Body {
    fn read(head: &str, items: &mut Items<'_>, outer: &Outer) -> Result<Kernel, ParseError> {
        let body = collect(items)?;
        let first = body.first().map_or(0, |(line, _)| *line);
        let head = Head::parse(head).map_err(|problem| ParseError { line: first, problem })?;
        let mut layout = Layout::default();
        let mut symbols = outer.symbols.clone();
        let statements = body.iter().filter_map(|(line, item)| match item {
            Item::Statement(text) if text.starts_with(".shared") || text.starts_with(".local") => Some((*line, text)),
            _ => None,
        });
        let mut dynamic: Vec<&Variable> = Vec::new();
        for variable in &outer.shared {
            if variable.is_dynamic {
                dynamic.push(variable);
            } else {
                symbols.insert(variable.name.clone(), layout.shared(variable));
            }
        }
        for (line, text) in statements {
            let variable = Variable::parse(text).map_err(|problem| ParseError { line, problem })?;
            let is_shared = text.starts_with(".shared");
            let offset = if is_shared { layout.shared(&variable) } else { layout.local(&variable) };
            symbols.insert(variable.name, offset);
        }
        let align = dynamic.iter().map(|variable| variable.align).max().unwrap_or(1).max(16);
        let dynamic_shared = layout.shared.next_multiple_of(align);
        symbols.extend(dynamic.iter().map(|variable| (variable.name.clone(), dynamic_shared as u64)));
        symbols.extend(head.parameters.iter().map(|(name, parameter)| (name.clone(), parameter.offset as u64)));

        let mut reader = Self {
            scope: Scope::new(symbols),
            code: Vec::new(),
            labels: HashMap::new(),
            lists: HashMap::new(),
            branches: Vec::new(),
            open: vec![0],
            next_block: 1,
        };
        for (line, item) in &body {
            reader.item(*line, item).map_err(|problem| ParseError { line: *line, problem })?;
        }
        reader.link().map_err(|problem| ParseError { line: first, problem })?;
        Ok(Kernel {
            name: head.name,
            parameters: head.parameters.into_iter().map(|(_, parameter)| parameter).collect(),
            code: reader.code,
            rows: reader.scope.rows as usize,
            constants: reader.scope.constants,
            specials: reader.scope.specials,
            local_bytes: layout.local,
            static_shared: layout.shared,
            dynamic_shared,
        })
    }

    fn item(&mut self, line: u32, item: &Item) -> Result<(), String> {
        match item {
            Item::Open => {
                self.scope.open();
                self.open.push(self.next_block);
                self.next_block += 1;
            }
            Item::Close => {
                self.scope.close();
                self.open.pop();
            }
            Item::Label(name) => {
                let block = self.open.last().copied().unwrap_or_default();
                if self.labels.insert((block, name.clone()), self.code.len()).is_some() {
                    return Err(format!("a second label {name}"));
                }
            }
            Item::Directive(_) => {}
            Item::Statement(text) if text.starts_with(".reg") => self.scope.declare(text)?,
            Item::Statement(text) if text.starts_with(".branchtargets") => self.list(text)?,
            Item::Statement(text) if [".shared", ".local", ".pragma"].iter().any(|word| text.starts_with(word)) => {}
            Item::Statement(text) => {
                let decoded = decode::instruction(text, &mut self.scope)?;
                if let Some(target) = decoded.target {
                    self.branches.push((self.code.len(), target, self.open.clone()));
                }
                self.code.push(Instruction { guard: decoded.guard, step: decoded.step, line, text: text.clone() });
            }
        }
        Ok(())
    }

    /// A list of targets belongs to the label before it.
    fn list(&mut self, text: &str) -> Result<(), String> {
        let here = self.code.len();
        let names = text.trim_start_matches(".branchtargets").split(',').map(|name| name.trim().to_owned());
        let label = self.labels.iter().find(|&((_, name), at)| *at == here && !self.lists.contains_key(name));
        let label = label.ok_or("targets of branches without a label")?.0.1.clone();
        self.lists.insert(label, names.collect());
        Ok(())
    }

    /// Fills in the targets of branches.
    fn link(&mut self) -> Result<(), String> {
        for (at, target, open) in std::mem::take(&mut self.branches) {
            let find = |name: &String| {
                let found = open.iter().rev().find_map(|block| self.labels.get(&(*block, name.clone())));
                found.copied().ok_or_else(|| format!("there is no label {name}"))
            };
            let step = match &target {
                Target::Label(name) => Step::Branch(find(name)?),
                Target::List { index, list } => {
                    let names = self.lists.get(list).ok_or_else(|| format!("there is no list {list}"))?;
                    Step::BranchIndexed { index: *index, targets: names.iter().map(find).collect::<Result<_, _>>()? }
                }
            };
            self.code[at].step = step;
        }
        Ok(())
    }
}

/// The items of a body up to its closing brace.
fn collect(items: &mut Items<'_>) -> Result<Vec<(u32, Item)>, ParseError> {
    let (mut body, mut depth) = (Vec::new(), 0);
    while let Some((line, item)) = items.next()? {
        depth += i32::from(item == Item::Open) - i32::from(item == Item::Close);
        let ends = depth == 0;
        body.push((line, item));
        if ends {
            body.pop();
            body.remove(0);
            return Ok(body);
        }
    }
    Err(ParseError { line: 0, problem: "a kernel has no end".to_owned() })
}

/// Where variables have been put so far.
#[derive(Default)]
struct Layout {
    shared: usize,
    local: usize,
}

impl Layout {
    fn shared(&mut self, variable: &Variable) -> u64 {
        Self::place(&mut self.shared, variable)
    }

    fn local(&mut self, variable: &Variable) -> u64 {
        Self::place(&mut self.local, variable)
    }

    fn place(end: &mut usize, variable: &Variable) -> u64 {
        let offset = end.next_multiple_of(variable.align.max(1));
        *end = offset + variable.bytes;
        offset as u64
    }
}

/// What stands before the body of a kernel.
struct Head {
    name: String,
    parameters: Vec<(String, Parameter)>,
}

impl Head {
    fn parse(text: &str) -> Result<Self, String> {
        let (_, rest) = text.split_once(".entry").ok_or("no entry")?;
        let (name, rest) = rest.split_once('(').unwrap_or((rest, ")"));
        let (list, _) = rest.split_once(')').ok_or("parameters without end")?;
        let (mut parameters, mut end) = (Vec::new(), 0);
        for text in list.split(',').filter(|text| text.contains(".param")) {
            let variable = Variable::parse(text)?;
            let offset = Layout::place(&mut end, &variable) as usize;
            parameters.push((variable.name, Parameter { offset, bytes: variable.bytes }));
        }
        let name = name.split_whitespace().next().unwrap_or_default().to_owned();
        Ok(Self { name, parameters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read() {
        let read = |text: &str| Variable::parse(text).unwrap();
        let tile = read(".shared .align 16 .b8 tile[1024]");
        assert_eq!((tile.name.as_str(), tile.align, tile.bytes, tile.is_dynamic), ("tile", 16, 1024, false));
        let pool = read(".extern .shared .align 128 .b8 pool[]");
        assert_eq!((pool.align, pool.bytes, pool.is_dynamic), (128, 0, true));
        let pointer = read(".param .u64 .ptr .global .align 1 add_param_0");
        assert_eq!((pointer.name.as_str(), pointer.align, pointer.bytes), ("add_param_0", 8, 8));
        assert_eq!(read(".local .f32 grid[2][3]").bytes, 24);
    }

    #[test]
    fn an_unknown_instruction_is_named_with_its_line() {
        let text = ".version 8.5\n.target sm_80\n.address_size 64\n.visible .entry k(\n)\n{\n.reg .b32 %r<2>;\nmov.u32 %r1, 1;\nfrobnicate.u32 %r1, %r1;\nret;\n}\n";
        let error = Module::parse(text).unwrap_err();
        assert_eq!(error.line, 9);
        assert!(error.problem.contains("frobnicate.u32 %r1, %r1"), "{error}");
        let error = Module::parse(&text.replace("frobnicate.u32 %r1", "add.u32 %r7")).unwrap_err();
        assert!(error.problem.contains("%r7"), "{error}");
    }

    #[test]
    fn labels_belong_to_their_braces() {
        let loops = "{\n.reg .pred p;\nsetp.eq.u32 p, 0, 1;\nL:\n@p bra L;\n}\n";
        let text = format!(".version 8.5\n.target sm_80\n.address_size 64\n.entry k(\n)\n{{\n{loops}{loops}ret;\n}}\n");
        let module = Module::parse(&text).unwrap();
        let targets = module.kernels[0].code.iter().filter_map(|instruction| match instruction.step {
            Step::Branch(target) => Some(target),
            _ => None,
        });
        assert_eq!(targets.collect::<Vec<_>>(), [1, 3]);
        assert!(Module::parse(&text.replace("bra L", "bra M")).is_err());
    }

    #[test]
    fn parameters_lie_as_their_alignment_asks() {
        let head =
            Head::parse(".visible .entry k( .param .u32 a, .param .align 64 .b8 map[128], .param .u64 c )").unwrap();
        let offsets: Vec<_> =
            head.parameters.iter().map(|(_, parameter)| (parameter.offset, parameter.bytes)).collect();
        assert_eq!(offsets, [(0, 4), (64, 128), (192, 8)]);
    }
}
