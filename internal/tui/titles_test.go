package tui_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// found is a screen that the source makes.
type found struct {
	kind  string
	title string // * stands for what is only known when it runs
	at    token.Position
}

// is says whether a title on a golden screen is that of the screen. A step of a
// wizard says which wizard it is, and which step.
func (f found) is(title string) bool {
	return wild(f.title).MatchString(title)
}

func wild(title string) *regexp.Regexp {
	parts := strings.Split(title, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	if n := len(parts) - 1; n > 0 && parts[n] == "" { // a question is not what comes of it
		parts[n-1], parts = parts[n-1]+".*[^?]", parts[:n]
	}
	return regexp.MustCompile(`^([A-Z][^:]*: )?` + strings.Join(parts, ".+") + `(, step \d+ of \d+)?$`)
}

// made are the types of the kit that are screens, and told are its methods that
// show one whose title is the first argument.
func made() []string { return []string{"Form", "List", "Picker", "Page"} }

func told() []string {
	return []string{"Say", "Warn", "Ask", "Choose", "Command", "CommandWith", "CommandFrom", "Follow"}
}

// source is one package's.
type source struct {
	set   *token.FileSet
	files []*ast.File
	asked map[string]bool // arguments of functions that are looked for
}

// screens are those that a package makes.
func screens(t *testing.T, files []string) []found {
	t.Helper()
	s := source{set: token.NewFileSet(), asked: map[string]bool{}}
	for _, name := range files {
		f, err := parser.ParseFile(s.set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, f)
	}
	var all []found
	for _, file := range s.files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			add := func(kind string, at token.Pos, title ast.Expr) {
				for _, x := range s.words(f, title) {
					all = append(all, found{kind: kind, title: x, at: s.set.Position(at)})
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CompositeLit:
					of := selected(n.Type, "frame")
					switch {
					case slices.Contains(made(), of), area(file) == "frame" && slices.Contains(append(made(), "dialog"), name(n.Type)):
						title := value(n, "Title")
						if title == nil {
							title = value(n, "title")
						}
						if title != nil {
							add(cmp.Or(of, name(n.Type)), n.Pos(), title)
						}
					case of == "" && n.Type == nil, of == "Field": // of a slice of fields
						if value(n, "One") != nil || value(n, "Many") != nil {
							add("choices of the field", n.Pos(), value(n, "Label"))
						}
					}
				case *ast.AssignStmt:
					for i, l := range n.Lhs {
						if x, ok := l.(*ast.SelectorExpr); ok && x.Sel.Name == "Title" && n.Tok == token.ASSIGN && len(n.Rhs) == len(n.Lhs) {
							add("screen", n.Pos(), n.Rhs[i])
						}
					}
				case *ast.CallExpr:
					x, ok := n.Fun.(*ast.SelectorExpr)
					if ok && (slices.Contains(told(), x.Sel.Name) || area(file) == "frame" && x.Sel.Name == "ask") && len(n.Args) > 1 && s.desk(file, x.X) {
						add(x.Sel.Name, n.Pos(), n.Args[0])
					}
				}
				return true
			})
		}
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.title, b.title), cmp.Compare(a.at.Filename, b.at.Filename), cmp.Compare(a.at.Line, b.at.Line))
	})
	return slices.CompactFunc(all, func(a, b found) bool { return a.title == b.title })
}

// desk says whether what a method is called of is no package.
func (s source) desk(file *ast.File, x ast.Expr) bool {
	id, ok := x.(*ast.Ident)
	return !ok || !slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool {
		path, _ := strconv.Unquote(i.Path.Value)
		return filepath.Base(path) == id.Name
	})
}

// area is the package of a file.
func area(f *ast.File) string { return f.Name.Name }

// name is that of a type of the same package.
func name(x ast.Expr) string {
	if id, ok := x.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// selected is the name X of pkg.X.
func selected(x ast.Expr, pkg string) string {
	if sel, ok := x.(*ast.SelectorExpr); ok {
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == pkg {
			return sel.Sel.Name
		}
	}
	return ""
}

// value is that of a key in a literal; nil if it has none.
func value(l *ast.CompositeLit, key string) ast.Expr {
	for _, e := range l.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if id, ok := kv.Key.(*ast.Ident); ok && id.Name == key {
				return kv.Value
			}
		}
	}
	return nil
}

// words are what an expression in a function may be: what is written there, and
// what the function's callers give it. * is what cannot be told.
func (s source) words(f *ast.FuncDecl, x ast.Expr) []string {
	switch x := x.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(x.Value); err == nil {
			return []string{text}
		}
	case *ast.ParenExpr:
		return s.words(f, x.X)
	case *ast.BinaryExpr:
		var all []string
		for _, a := range s.words(f, x.X) {
			for _, b := range s.words(f, x.Y) {
				if a == "" || b == "" { // the caller that has none gets another title
					continue
				}
				all = append(all, strings.ReplaceAll(a+b, "**", "*"))
			}
		}
		return all
	case *ast.CallExpr:
		if selected(x.Fun, "fmt") == "Sprintf" {
			verbs := regexp.MustCompile(`%[-+ #0-9.]*[a-z]`)
			var all []string
			for _, a := range s.words(f, x.Args[0]) {
				all = append(all, verbs.ReplaceAllString(a, "*"))
			}
			return all
		}
	case *ast.Ident:
		if all := s.named(f, x.Name); len(all) > 0 {
			return all
		}
	}
	return []string{"*"}
}

// named are what a parameter or a variable of a function may be.
func (s source) named(f *ast.FuncDecl, name string) []string {
	at := 0
	for _, p := range f.Type.Params.List {
		for _, id := range p.Names {
			if id.Name == name {
				if area(s.files[0]) == "frame" {
					return nil // its callers are all over the areas
				}
				return s.given(f.Name.Name, at)
			}
			at++
		}
	}
	var all []string
	ast.Inspect(f, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
			for i, l := range a.Lhs {
				if id, ok := l.(*ast.Ident); !ok || id.Name != name {
					continue
				}
				if refers(a.Rhs[i], name) || a.Tok == token.ADD_ASSIGN { // to what it was
					for _, was := range slices.Clone(all) {
						for _, more := range s.words(&ast.FuncDecl{Name: f.Name, Type: f.Type, Body: &ast.BlockStmt{}}, a.Rhs[i]) {
							if a.Tok == token.ADD_ASSIGN {
								more = was + more
							} else {
								more = strings.Replace(more, "*", was, 1)
							}
							all = append(all, more)
						}
					}
					continue
				}
				all = append(all, s.words(f, a.Rhs[i])...)
			}
		}
		return true
	})
	return all
}

func refers(x ast.Expr, name string) bool {
	is := false
	ast.Inspect(x, func(n ast.Node) bool {
		if _, ok := n.(*ast.SelectorExpr); ok {
			return false // a field of that name is another one
		}
		id, ok := n.(*ast.Ident)
		is = is || ok && id.Name == name
		return true
	})
	return is
}

// given are what the callers of a function give it as one of its arguments.
func (s source) given(name string, at int) []string {
	key := name + " " + strconv.Itoa(at)
	if s.asked[key] { // it calls itself
		return nil
	}
	s.asked[key] = true
	defer delete(s.asked, key)
	var all []string
	for _, file := range s.files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				c, ok := n.(*ast.CallExpr)
				if !ok || at >= len(c.Args) {
					return true
				}
				is := false
				switch fun := c.Fun.(type) {
				case *ast.Ident:
					is = fun.Name == name
				case *ast.SelectorExpr:
					is = fun.Sel.Name == name
				}
				if is {
					all = append(all, s.words(f, c.Args[at])...)
				}
				return true
			})
		}
	}
	return all
}

// goldenTitles are those of the boxes on the golden screens of a package that
// there are at both sizes, and that nothing is over.
func goldenTitles(t *testing.T, area string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(area, "testdata", "*.80x24"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range names {
		small, large := boxes(t, name), boxes(t, strings.TrimSuffix(name, ".80x24")+".160x50")
		for _, title := range large {
			cut := func(s string) bool {
				return s == title || strings.HasSuffix(s, "~") && strings.HasPrefix(title, strings.TrimSuffix(s, "~"))
			}
			if slices.ContainsFunc(small, cut) {
				all = append(all, title)
			}
		}
	}
	return all
}

// boxes are the titles of the boxes on a golden screen, but of those that
// another one lies on.
func boxes(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]rune
	for line := range strings.Lines(string(text)) {
		rows = append(rows, []rune(strings.TrimSuffix(line, "\n")))
	}
	at := func(x, y int) rune {
		if y < len(rows) && x < len(rows[y]) {
			return rows[y][x]
		}
		return ' '
	}
	var all []string
	for y := range rows {
		for x := range rows[y] {
			if at(x, y) != '┌' {
				continue
			}
			w, h := 1, 1
			for at(x+w, y) != '┐' && x+w < len(rows[y]) {
				w++
			}
			for at(x, y+h) == '│' {
				h++
			}
			free := at(x, y+h) == '└' && at(x+w, y+h) == '┘'
			for b := 1; b < h; b++ {
				free = free && at(x+w, y+b) == '│' && !slices.Contains(rows[y+b][x+1:min(x+w, len(rows[y+b]))], '┌')
			}
			title := strings.Trim(string(rows[y][x+1:min(x+w, len(rows[y]))]), "─")
			if free {
				all = append(all, strings.TrimSpace(title))
			}
		}
	}
	return all
}
