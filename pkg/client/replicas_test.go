package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dbacked/dbacked/pkg/dbtest"
	"github.com/dbacked/dbacked/pkg/server"
	"github.com/dbacked/dbacked/pkg/server/files"
	"github.com/dbacked/dbacked/pkg/server/records"
	"github.com/dbacked/dbacked/pkg/storage"
)

const (
	replicas = 3
	projects = 100
	rounds   = 3
)

// cluster is three services on one PostgreSQL and one folder, behind a balancer, of
// which one is killed again and again.
type cluster struct {
	t        *testing.T
	dsn      string
	dir      string
	ahead    atomic.Int64
	kills    atomic.Int32
	done     chan struct{} // has one for each backup
	mu       sync.Mutex
	alive    []*replica
	balancer *httptest.Server
}

type replica struct {
	records *records.Store
	folder  *files.Folder
	server  *httptest.Server
	url     *url.URL
}

func (c *cluster) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *cluster) records() (*records.Store, error) {
	return records.Open(context.WithoutCancel(c.t.Context()), c.dsn, records.Options{
		Next:       func(_ records.Project, after time.Time) time.Time { return after.Truncate(time.Hour).Add(time.Hour) },
		Completing: 2 * time.Second,
	})
}

func (c *cluster) start() (*replica, error) {
	r, err := c.records()
	if err != nil {
		return nil, err
	}
	secret, err := r.Secret(c.t.Context())
	if err != nil {
		return nil, err
	}
	folder, err := files.OpenFolder(c.dir, secret, server.FolderOptions(r, c.now, nil))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/files/", folder)
	mux.Handle("/", server.New(r, folder, server.Options{Now: c.now, PublicURL: c.balancer.URL}))
	s := httptest.NewServer(mux)
	u, err := url.Parse(s.URL)
	return &replica{r, folder, s, u}, err
}

// kill lets nobody have an answer any more.
func (r *replica) kill() {
	r.server.CloseClientConnections()
	r.server.Close()
	r.records.Close()
	r.folder.Close()
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	s := dbtest.Postgres(t)
	c := &cluster{t: t, done: make(chan struct{}, projects*rounds), dir: filepath.Join(memory(t), "files"), dsn: fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", s.User, s.Port)}
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	c.balancer = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(c.any()) },
		Transport:    transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(func() { c.balancer.Close(); transport.CloseIdleConnections() })
	for range replicas {
		r, err := c.start()
		if err != nil {
			t.Fatal(err)
		}
		c.alive = append(c.alive, r)
	}
	t.Cleanup(func() {
		for _, r := range c.alive {
			r.kill()
		}
	})
	return c
}

func (c *cluster) any() *url.URL {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alive[rand.IntN(len(c.alive))].url
}

// storm kills one replica after another until ctx ends, after some backups each.
func (c *cluster) storm(ctx context.Context) {
	for ctx.Err() == nil {
		for range 10 + rand.IntN(10) {
			select {
			case <-ctx.Done():
				return
			case <-c.done:
			}
		}
		r, err := c.start()
		if err != nil {
			if ctx.Err() == nil {
				c.t.Error(err)
			}
			return
		}
		c.mu.Lock()
		i := rand.IntN(len(c.alive))
		dead := c.alive[i]
		c.alive[i] = r
		c.mu.Unlock()
		dead.kill()
		c.kills.Add(1)
	}
}

// TestReplicas lets two agents of each of a hundred projects work through three
// replicas of which one is killed all the time: each due backup is made once.
func TestReplicas(t *testing.T) {
	c := newCluster(t)
	watching, err := c.records()
	if err != nil {
		t.Fatal(err)
	}
	defer watching.Close()
	keys := make([]string, projects)
	ids := make([]string, projects)
	for i := range keys {
		p, err := watching.CreateProject(t.Context(), records.Project{Name: fmt.Sprint(i), Schedule: "0 * * * *"}, c.now())
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = p.ID
		if keys[i], _, err = watching.CreateKey(t.Context(), p.ID, records.KeyAgent, "", c.now()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var storming sync.WaitGroup
	storming.Go(func() { c.storm(ctx) })
	for range rounds {
		c.round(keys)
		c.ahead.Add(int64(time.Hour))
	}
	stop()
	storming.Wait()
	for i, id := range ids {
		all, err := watching.Backups(t.Context(), id, nil, 100)
		if err != nil {
			t.Fatal(err)
		}
		due := map[time.Time]bool{}
		for _, b := range all {
			if b.State != records.StateDone || due[b.Due] {
				t.Errorf("project %d: %s is %s, due at %v", i, b.ID, b.State, b.Due)
			}
			due[b.Due] = true
		}
		if len(all) != rounds {
			t.Errorf("project %d has %d backups", i, len(all))
		}
	}
	t.Logf("%d backups, %d replicas killed", projects*rounds, c.kills.Load())
	if c.kills.Load() < 10 {
		t.Error("hardly a replica was killed: this shows nothing")
	}
}

// round lets both agents of each project ask, and make what they are given.
func (c *cluster) round(keys []string) {
	var all sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i, key := range keys {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			var pair sync.WaitGroup
			var made atomic.Int32
			for agent := range 2 {
				pair.Go(func() {
					switch err := c.backup(key, fmt.Sprintf("agent-%d", agent)); {
					case err == nil:
						made.Add(1)
					case !errors.Is(err, ErrNotDue):
						c.t.Errorf("project %d: %v", i, err)
					}
				})
			}
			pair.Wait()
			if made.Load() != 1 {
				c.t.Errorf("project %d: %d agents made a backup", i, made.Load())
			}
		})
	}
	all.Wait()
}

func (c *cluster) backup(key, agent string) error {
	client, err := New(Options{URL: c.balancer.URL, Key: key, AgentID: agent, Tries: 12, Wait: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	defer client.Close()
	run, err := client.Ask(c.t.Context())
	for temporary := (*storage.TemporaryError)(nil); errors.As(err, &temporary); {
		run, err = client.Ask(c.t.Context()) // as an agent does, later
	}
	if err != nil {
		return err
	}
	defer func() { c.done <- struct{}{} }()
	s := client.Store(run)
	err = s.Put(c.t.Context(), "shop/"+run.ID+"/0000", []byte(key))
	if err == nil {
		err = s.Put(c.t.Context(), "shop/"+run.ID+"/manifest", []byte("signed"))
	}
	return errors.Join(err, run.End(err))
}
