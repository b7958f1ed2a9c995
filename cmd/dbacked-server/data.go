package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/dbacked/dbacked/pkg/server"
	"github.com/dbacked/dbacked/pkg/server/admin"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
)

// databaseName is the file of SQLite, in the data folder.
const databaseName = "server.db"

// dataFlags say where the service keeps what it knows and what it stores.
type dataFlags struct {
	Data     string `name:"data" env:"DBACKED_SERVER_DATA" default:"/var/lib/dbacked-server" placeholder:"DIR" help:"Folder of the database and of the files, unless the next two say otherwise."`
	Database string `name:"database" env:"DBACKED_SERVER_DATABASE" placeholder:"URL" help:"PostgreSQL, for several replicas: postgres://…; else SQLite, in the folder."`
	Files    string `name:"files" env:"DBACKED_SERVER_FILES" placeholder:"URL" help:"Where files are kept: s3://bucket/prefix; else the folder."`

	Endpoint string `name:"s3-endpoint" env:"DBACKED_SERVER_S3_ENDPOINT" placeholder:"URL" help:"Address of the service of s3://…, as agents reach it too; else Amazon's."`
	Region   string `name:"s3-region" env:"DBACKED_SERVER_S3_REGION" placeholder:"REGION" help:"Region of the bucket."`
}

// records opens what the service knows. Root acts as the owner of the folder from
// there on.
func (d dataFlags) records(ctx context.Context) (*records.Store, error) {
	if err := settle(d.Data); err != nil {
		return nil, err
	}
	dsn := d.Database
	if dsn == "" {
		if err := d.folder(); err != nil {
			return nil, err
		}
		dsn = "sqlite:" + filepath.Join(d.Data, databaseName)
	}
	return records.Open(ctx, dsn, records.Options{Next: admin.Next})
}

// project opens what the service knows, and finds a project by its name or its id.
func (d dataFlags) project(ctx context.Context, name string) (*records.Store, records.Project, error) {
	r, err := d.records(ctx)
	if err != nil {
		return nil, records.Project{}, err
	}
	p, err := admin.New(r, "", time.Now).Project(ctx, name)
	if err != nil {
		_ = r.Close()
	}
	return r, p, err
}

// any opens what the service knows, and finds the id of a project; "" is all.
func (d dataFlags) any(ctx context.Context, project string) (*records.Store, string, error) {
	if project == "" {
		r, err := d.records(ctx)
		return r, "", err
	}
	r, p, err := d.project(ctx, project)
	return r, p.ID, err
}

// folder makes the data folder.
func (d dataFlags) folder() error {
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("the data folder: %w: run this as root or as the service's user, or give --data", err)
		}
		return fmt.Errorf("the data folder: %w", err)
	}
	return nil
}

// files opens where files are kept; the folder is nil where that is a bucket.
func (d dataFlags) files(ctx context.Context, r *records.Store, log *zap.Logger) (files.Store, *files.Folder, error) {
	if d.Files != "" {
		name, ok := strings.CutPrefix(d.Files, "s3://")
		bucket, prefix, _ := strings.Cut(name, "/")
		if !ok || bucket == "" {
			return nil, nil, fmt.Errorf("--files %s: write s3://BUCKET/PREFIX", d.Files)
		}
		b, err := files.OpenBucket(files.BucketOptions{
			Bucket: bucket, Prefix: strings.Trim(prefix, "/"), Endpoint: d.Endpoint, Region: d.Region,
			AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
		})
		return b, nil, err
	}
	if err := d.folder(); err != nil {
		return nil, nil, err
	}
	secret, err := r.Secret(ctx)
	if err != nil {
		return nil, nil, err
	}
	folder, err := files.OpenFolder(filepath.Join(d.Data, "files"), secret, server.FolderOptions(r, nil, log))
	return folder, folder, err
}
