/* Texts and molecules: which row of the grid has the 1 of each column, as `adapters/text.py`,
   `adapters/molecule.py` and `adapters/smiles.py` decide it. */
"use strict";

(() => {
  // What Python's regular expressions call a letter or digit, and a space.
  const SPACES = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
  const WORD = "[\\p{L}\\p{N}_]";
  const WORDS = new RegExp(`${WORD}+(?:['\u2019]${WORD}+)*|[^\\p{L}\\p{N}_${SPACES}]`, "gu");

  const tables = new WeakMap(); // of adapters: the row of each symbol

  function rowsOf(adapter) {
    if (!tables.has(adapter)) {
      tables.set(adapter, new Map(adapter.alphabet.map((symbol, row) => [symbol, row])));
    }
    return tables.get(adapter);
  }

  function cleaned(adapter, text) {
    const normal = (each) => (
      adapter.normalization === "none" ? each : each.normalize(adapter.normalization)
    );
    return adapter.lower ? normal(normal(text).toLowerCase()) : normal(text);
  }

  /* Return the parts of a text, [{text, row}]; `row` is -1 if it has none. */
  function textParts(adapter, text) {
    const clean = cleaned(adapter, text);
    if (adapter.unit === "byte") {
      return Array.from(new TextEncoder().encode(clean), (value) => (
        { text: `0x${value.toString(16).toUpperCase().padStart(2, "0")}`, row: value }
      ));
    }
    const parts = adapter.unit === "word" ? clean.match(WORDS) || [] : Array.from(clean);
    const rows = rowsOf(adapter);
    const other = adapter.unknown === "symbol" ? adapter.alphabet.length : -1;
    return parts.map((part) => ({ text: part, row: rows.has(part) ? rows.get(part) : other }));
  }

  /* Return the parts of a text in the columns of its grid, as many as there are columns at most. */
  function textColumns(adapter, text) {
    let parts = textParts(adapter, text);
    if (!parts.length && adapter.empty === "refuse") {
      throw new gridcnn.Problem(`the text has no ${adapter.unit}s`);
    }
    if (adapter.unknown === "drop") parts = parts.filter((part) => part.row >= 0);
    const excess = parts.length - adapter.length;
    if (excess > 0) {
      const first = { end: adapter.length, start: 0, middle: Math.floor((adapter.length + 1) / 2) };
      const kept = first[adapter.cut];
      parts = [...parts.slice(0, kept), ...parts.slice(kept + excess)];
    }
    return adapter.direction === "backward" ? parts.reverse() : parts;
  }

  // Molecules ------------------------------------------------------------------------------------

  const ISOTOPE = "[0-9]{1,4}";
  const CHIRALITY = "@(?:@|TH[12]|AL[12]|SP[1-3]|TB(?:1[0-9]|20|[1-9])|OH(?:[12][0-9]|30|[1-9]))?";
  const HYDROGENS = "H[0-9]?";
  const CHARGE = "\\+\\+|--|[+-][0-9]{0,2}";
  const CLASS = ":[0-9]{1,9}";
  const TOKEN = new RegExp(
    "(?<atom>Br|Cl|[BCNOPSFIbcnops*])"
    + "|(?<bracket>\\[[^\\][]*\\])"
    + "|(?<ring>%\\([0-9]{1,5}\\)|%[0-9]{2}|[0-9])"
    + "|(?<bond>->|<-|\\\\{1,2}|[-=#$:/])"
    + "|(?<opening>\\()|(?<closing>\\))|(?<dot>\\.)",
    "y",
  );
  const EXTENSION = /^\s*(\S+)\s+(\|.*\|)(?:\s.*)?$/s;
  const insides = new WeakMap(); // of adapters: the pattern of what stands in brackets

  function insideOf(adapter) {
    if (!insides.has(adapter)) {
      const symbols = [...adapter.elements, ...adapter.aromatic]
        .sort((one, other) => other.length - one.length);
      const parts = [ISOTOPE, `${symbols.join("|")}|\\*`, CHIRALITY, HYDROGENS, CHARGE, CLASS];
      const [isotope, symbol, ...others] = parts.map((part) => `(${part})`);
      insides.set(adapter, new RegExp(`^${isotope}?${symbol}${others.map((o) => `${o}?`).join("")}$`));
    }
    return insides.get(adapter);
  }

  /* Return the tokens of a SMILES, [{kind, text, column}]; throw a `Problem` that says what breaks
     its grammar. */
  function tokens(adapter, given) {
    const text = given.includes("|") && EXTENSION.test(given) ? given.match(EXTENSION)[1] : given;
    if (!text.trim()) throw new gridcnn.Problem("the SMILES is empty; type a molecule, such as CCO");
    const end = text.trimEnd().length;
    let place = text.length - text.trimStart().length;
    const found = [];
    while (place < end) {
      TOKEN.lastIndex = place;
      const match = TOKEN.exec(text);
      if (match === null) {
        throw wrong(place, text[place], text[place] === "["
          ? "has no closing ']'" : "is not an atom, a bond or a ring number");
      }
      const kind = Object.keys(match.groups).find((each) => match.groups[each] !== undefined);
      if (kind === "bracket" && !insideOf(adapter).test(match[0].slice(1, -1))) {
        throw wrong(place, match[0], "is not an atom in brackets, such as [nH] or [13C@@H2+:1]");
      }
      found.push({ kind, text: match[0] === "\\\\" ? "\\" : match[0], column: place });
      place += match[0].length;
    }
    checkStructure(found);
    return found;
  }

  function wrong(place, text, reason) {
    return new gridcnn.Problem(`character ${place + 1} of the SMILES, '${text}', ${reason}`);
  }

  /* Follow the bonds, and throw a `Problem` for the first that leads nowhere. */
  function checkStructure(found) {
    const state = {
      atoms: 0, atom: null, bond: null, dot: null, fresh: null, branches: [], rings: new Map(),
      joined: new Set(),
    };
    for (const token of found) {
      STRUCTURE[token.kind === "bracket" ? "atom" : token.kind](state, token);
    }
    refuseWaiting(state);
    for (const branch of state.branches) throw wrong(branch.column, "(", "has no closing ')'");
    for (const ring of state.rings.values()) {
      throw wrong(ring.column, ring.text, "opens a ring that is never closed");
    }
  }

  function refuseWaiting({ bond, dot }) {
    if (bond) throw wrong(bond.column, bond.text, "is a bond without an atom after it");
    if (dot) throw wrong(dot.column, ".", "has no atom after it");
  }

  function refuseBond({ bond }) {
    if (bond) throw wrong(bond.column, bond.text, "is a bond without an atom after it");
  }

  const STRUCTURE = {
    atom(state) {
      if (state.atom !== null) state.joined.add(`${state.atom}-${state.atoms}`);
      state.atom = state.atoms;
      state.atoms += 1;
      state.bond = state.dot = state.fresh = null;
    },
    bond(state, token) {
      refuseBond(state);
      if (state.atom === null) throw wrong(token.column, token.text, "is a bond without an atom before it");
      state.bond = token;
    },
    dot(state, token) {
      refuseBond(state);
      if (state.atom === null) throw wrong(token.column, ".", "follows no atom");
      state.atom = state.fresh = null;
      state.dot = token;
    },
    opening(state, token) {
      refuseBond(state);
      if (state.atom === null) throw wrong(token.column, "(", "opens a branch without an atom before it");
      if (state.fresh) throw wrong(token.column, "(", "opens a branch of a branch that has no atom yet");
      state.branches.push({ atom: state.atom, column: token.column });
      state.fresh = token;
    },
    closing(state, token) {
      refuseWaiting(state);
      const branch = state.branches.pop();
      if (!branch) throw wrong(token.column, ")", "closes no '('");
      if (state.fresh) throw wrong(state.fresh.column, "(", "opens a branch without an atom");
      state.atom = branch.atom;
    },
    ring(state, token) {
      const { bond } = state;
      state.bond = null;
      const number = Number(token.text.replace(/[%()]/g, ""));
      if (state.atom === null || state.fresh) {
        throw wrong(token.column, token.text, "is a ring number without an atom before it");
      }
      const open = state.rings.get(number);
      if (!open) {
        state.rings.set(number, { ...token, atom: state.atom, bond });
        return;
      }
      state.rings.delete(number);
      const ends = [`${open.atom}-${state.atom}`, `${state.atom}-${open.atom}`];
      if (open.atom === state.atom || ends.some((each) => state.joined.has(each))) {
        throw wrong(token.column, token.text, "closes a ring between atoms that are bonded already");
      }
      if (bond && open.bond && order(bond) !== order(open.bond)) {
        throw wrong(token.column, token.text, "closes a ring whose bonds differ at both ends");
      }
      state.joined.add(ends[0]);
    },
  };

  function order({ text }) {
    return { "<-": "->", "/": "-", "\\": "-" }[text] || text;
  }

  /* Return the tokens of a molecule in the columns of its grid, [{text, row}]. */
  function moleculeColumns(adapter, smiles) {
    const rows = rowsOf(adapter);
    const other = adapter.unknown === "symbol" ? adapter.alphabet.length : -1;
    const parts = tokens(adapter, smiles).flatMap(({ kind, text }) => {
      if (kind !== "bracket" || adapter.brackets === "whole") return [text];
      const inside = text.slice(1, -1).match(insideOf(adapter)).slice(1).filter(Boolean);
      return ["[", ...inside, "]"];
    });
    return parts.slice(0, adapter.length).map(
      (text) => ({ text, row: rows.has(text) ? rows.get(text) : other }),
    );
  }

  /* Return one-hot cells: a 1 in the row of each column's part. */
  function oneHot(columns, rows, length) {
    const cells = new Float32Array(rows * length);
    columns.forEach(({ row }, column) => {
      if (row >= 0) cells[row * length + column] = 1;
    });
    return cells;
  }

  gridcnn.texts = { moleculeColumns, oneHot, textColumns };
})();
