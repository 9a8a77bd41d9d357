package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/password"
)

type (
	loginInput struct {
		Body v1.Login
	}
	loginOutput struct {
		Body v1.LoggedIn
	}
	newTokenInput struct {
		ChangeInput
		Body v1.NewToken
	}
	newTokenOutput struct {
		Location string `header:"Location" doc:"The operation that puts it in force."`
		Body     v1.MadeToken
	}
)

// users are the routes of who may use the API.
func (s *Server) users() {
	login := operation(Nobody, http.MethodPost, "/login", "login", "users", "Open a session with a password")
	login.MaxBodyBytes = 16 << 10
	huma.Register(s.huma, login, func(ctx context.Context, in *loginInput) (*loginOutput, error) {
		l, err := s.login(ctx, in.Body)
		return &loginOutput{l}, err
	})
	huma.Register(s.huma, operation(Viewer, http.MethodPost, "/logout", "logout", "users", "End the session whose token is sent"),
		func(ctx context.Context, _ *nothing) (*nothing, error) {
			if t := asker(ctx).session; t != "" {
				s.logins.end(t)
			}
			return nil, nil
		})
	register(s, collection[v1.User]{
		path: "/users", tag: "users", one: "User", word: "user", role: Admin,
		list: func(doc *config.Document, _ place) ([]v1.User, error) {
			var all []v1.User
			for _, u := range doc.API.Users {
				all = append(all, userOf(u))
			}
			return all, nil
		},
		find: func(doc *config.Document, p place) (*v1.User, error) {
			u, err := findUser(doc, p.name)
			if err != nil {
				return nil, err
			}
			w := userOf(*u)
			return &w, nil
		},
		name:   func(v *v1.User) string { return v.Name },
		add:    addUser,
		put:    putUser,
		remove: removeUser,
	})
	huma.Register(s.huma, changing(operation(Admin, http.MethodPost, "/users/{name}/tokens", "createToken", "users", "Make a token; it is shown this once")), s.createToken)
}

// userOf is a user as answers show it.
func userOf(u config.APIUser) v1.User {
	w := v1.User{Name: u.Name, Role: u.Role, Password: u.Password.String()}
	for _, t := range u.Tokens {
		w.Tokens = append(w.Tokens, t.Name)
	}
	return w
}

func findUser(doc *config.Document, name string) (*config.APIUser, error) {
	for i := range doc.API.Users {
		if doc.API.Users[i].Name == name {
			return &doc.API.Users[i], nil
		}
	}
	return nil, fmt.Errorf("user %q: %w", name, config.ErrNotFound)
}

func addUser(doc *config.Document, _ place, v v1.User) error {
	if _, err := findUser(doc, v.Name); err == nil {
		return fmt.Errorf("user %q %w", v.Name, config.ErrExists)
	}
	if len(v.Tokens) > 0 {
		return problem(http.StatusUnprocessableEntity, v1.ProblemInvalid, "tokens are made by POST to the user's tokens, once the user is there")
	}
	u := config.APIUser{Name: v.Name, Role: v.Role}
	if err := setPassword(&u, v.Password); err != nil {
		return err
	}
	doc.API.Users = append(doc.API.Users, u)
	return nil
}

func putUser(doc *config.Document, p place, v v1.User) error {
	u, err := findUser(doc, p.name)
	if err != nil {
		return err
	}
	u.Role = v.Role
	if err := setPassword(u, v.Password); err != nil {
		return err
	}
	for _, t := range v.Tokens {
		if !slices.ContainsFunc(u.Tokens, func(have config.Token) bool { return have.Name == t }) {
			return problem(http.StatusUnprocessableEntity, v1.ProblemInvalid, fmt.Sprintf("user %s has no token %s; new ones are made by POST to the user's tokens", u.Name, t))
		}
	}
	u.Tokens = slices.DeleteFunc(slices.Clone(u.Tokens), func(t config.Token) bool { return !slices.Contains(v.Tokens, t.Name) })
	return nil
}

// setPassword sets a password, unless it is empty or (secret).
func setPassword(u *config.APIUser, typed string) error {
	if typed == "" || typed == v1.Redacted {
		return nil
	}
	hash, err := password.Hash(typed)
	if err != nil {
		return problem(http.StatusUnprocessableEntity, v1.ProblemInvalid, err.Error())
	}
	u.Password = config.Secret(hash)
	return nil
}

func removeUser(doc *config.Document, p place) error {
	if _, err := findUser(doc, p.name); err != nil {
		return err
	}
	doc.API.Users = slices.DeleteFunc(slices.Clone(doc.API.Users), func(u config.APIUser) bool { return u.Name == p.name })
	return nil
}

// createToken makes a token for a user. It works as soon as its operation,
// which touches nothing but the document, is done.
func (s *Server) createToken(ctx context.Context, in *newTokenInput) (*newTokenOutput, error) {
	user := at(ctx).name
	token := newToken(tokenPrefix)
	out, err := s.change(ctx, in.ChangeInput, func(doc *config.Document) error {
		u, err := findUser(doc, user)
		if err != nil {
			return err
		}
		for _, t := range u.Tokens {
			if t.Name == in.Body.Name {
				return fmt.Errorf("token %q of user %q %w", t.Name, user, config.ErrExists)
			}
		}
		u.Tokens = append(slices.Clone(u.Tokens), config.Token{Name: in.Body.Name, Hash: config.Secret(hashToken(token))})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &newTokenOutput{out.Location, v1.MadeToken{Name: in.Body.Name, Token: token}}, nil
}
