package config

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFormerConfigJSON(t *testing.T) {
	public := publicPEM(t)
	c := mustLoad(t, setup{need: all, json: `{
		"agentId": "b2f7", "apikey": "hunter2", "dbType": "pg", "dbHost": "h", "dbPort": 5433, "dbUsername": "u",
		"dbPassword": "pä$\"s", "dbName": "d", "publicKey": ` + quoteJSON(public) + `,
		"daemonName": "x", "daemon": true, "configDirectory": "/y", "dumperOptions": "--a 'b c'", "subscriptionType": {"a": 1},
		"storage": null
	}`})
	d := c.Database
	if c.AgentID != "b2f7" || d.Host != "h" || d.Port != 5433 || d.Password.Reveal() != `pä$"s` || len(d.DumperOptions) != 2 {
		t.Errorf("%+v", c)
	}
	if c.Keys.PublicKeys != public {
		t.Errorf("public key %q", c.Keys.PublicKeys)
	}
	if s := c.Storage; !s.IsService() || s.Service.URL != "https://api.dbacked.com" || s.Service.Key.Reveal() != "hunter2" {
		t.Errorf("storage %+v", s)
	}
	wantOne(t, c.Warnings, `"subscriptionType" is not a setting and has no effect`)
	if len(c.Warnings) != 1 {
		t.Errorf("%q", c.Warnings)
	}
}

func TestWrongConfigJSON(t *testing.T) {
	for text, says := range map[string]string{
		`{"dbHost": 1}`:                   `DIR/config.json: "dbHost" must be a text in double quotes, it is a number`,
		`{"dbPassword": ["hunter2"]}`:     `"dbPassword" must be a text in double quotes, it is a list`,
		`{"publicKey": {"a": "hunter2"}}`: `"publicKey" must be a text in double quotes, it is an object`,
		`{"dbName": true}`:                `"dbName" must be a text in double quotes, it is true or false`,
		`{"agentId": 5}`:                  `"agentId" must be a text`,
		`{"dbPort": [1]}`:                 `"dbPort" must be a text`,
		`{"dbName": "a\u0000"}`:           `"dbName" holds a NUL`,
		"{\n\"dbPassword\": 'hunter2'}":   "is not a JSON object: syntax error in line 2: mend it",
		`{"a": 1} {"b": 2}`:               "syntax error in line 1",
		`[1]`:                             "it holds a list",
		`"x"`:                             "it holds a text",
		` `:                               "syntax error in line 1",
		`{`:                               "syntax error in line 1",
	} {
		got := problems(t, setup{json: text})
		if wantOne(t, got, says); len(got) != 1 {
			t.Errorf("%s: %q", text, got)
		}
		for _, p := range got {
			if len(p) > 0 && containsSecret(p) {
				t.Errorf("leaks: %s", p)
			}
		}
	}
	wantOne(t, problems(t, setup{json: `{"dbPort": 1.5}`, need: NeedDatabase}), `DBACKED_DB_PORT (--db-port), set in DIR/config.json: "1.5" is not a port`)
}

func quoteJSON(text string) string {
	raw, _ := json.Marshal(text)
	return string(raw)
}

func containsSecret(text string) bool { return strings.Contains(text, "hunter2") }
