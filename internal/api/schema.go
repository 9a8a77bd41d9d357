package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/esos-project/esos/internal/config"
)

// sizeSchema is how sizes are described: config.Size knows nothing of OpenAPI.
type sizeSchema struct{}

// Schema describes what config.Size reads and writes.
func (sizeSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "A number of bytes, or a number with a unit: 10GiB, 500MB.",
		OneOf:       []*huma.Schema{{Type: huma.TypeInteger, Format: "int64"}, {Type: huma.TypeString}},
		Examples:    []any{10737418240, "10GiB"},
	}
}

// secretSchema is how secrets are described.
type secretSchema struct{}

// Schema describes what config.Secret reads and writes.
func (secretSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "password", Description: "A secret. Reads " + config.Hidden + "; written so, it stays what it is."}
}

// documentSchema is the schema of whole documents.
func documentSchema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[config.Document](), true, "Document")
}

// registry holds the schemas that the description refers to.
func registry() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	r.RegisterTypeAlias(reflect.TypeFor[config.Size](), reflect.TypeFor[sizeSchema]())
	r.RegisterTypeAlias(reflect.TypeFor[config.Secret](), reflect.TypeFor[secretSchema]())
	return r
}
