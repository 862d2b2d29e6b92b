package fenceagent

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/internal/secret"
)

const described = `words before it
<?xml version="1.0" ?>
<resource-agent name="fence_x" shortdesc="for tests">
<parameters>
<parameter name="action" required="1"><content type="string" default="reboot"/></parameter>
<parameter name="ip" required="1" obsoletes="ipaddr"><content type="string"/></parameter>
<parameter name="ipport"/>
<parameter name="username" obsoletes="login"/>
<parameter name="login" deprecated="1"/>
<parameter name="user-domain" deprecated="1"/>
<parameter name="user_domain" obsoletes="user-domain"/>
<parameter name="tenantId"/>
<parameter name="power_wait"/>
</parameters>
<actions><action name="off"/><action name="status"/></actions>
</resource-agent>
words after it`

func TestUnknown(t *testing.T) {
	m, err := Parse(described)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"ip", "ipaddr", "login", "user-domain", "user_domain", "tenantId", "power-wait", "power_wait", "plug", "port", "nodename", "action", "option",
		"expect_name", "proof",
	} {
		if why := m.Unknown(key); why != "" {
			t.Errorf("%s: %s", key, why)
		}
	}
	for key, want := range map[string]string{
		"adress":     `did you mean "ip"?`,
		"address":    `did you mean "ip"?`,
		"IP":         `did you mean "ip"?`,
		"user_name":  `did you mean "username"?`,
		"user":       `did you mean "username"?`,
		"logn":       "`fence_x -o metadata` lists those that it knows", // nobody should begin with an old name
		"tenantid":   `did you mean "tenantId"?`,
		"power_wiat": `did you mean "power_wait"?`,
		"colour":     "`fence_x -o metadata` lists those that it knows",
		"outlet":     "`fence_x -o metadata` lists those that it knows", // this agent has no plugs
	} {
		if why := m.Unknown(key); !strings.HasPrefix(why, `fence_x does not know the setting "`+key+`"; `) || !strings.HasSuffix(why, want) {
			t.Errorf("%s: %q, want %s", key, why, want)
		}
	}
	if !m.Offers("off") || m.Offers("on") {
		t.Errorf("actions %v", m.Actions)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "usage: fence_ack_manual <nodename>", "<resource-agent"} {
		if _, err := Parse(text); !errors.Is(err, ErrMetadata) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFind(t *testing.T) {
	for _, method := range []string{"", ".", "..", "sbin/fence_x", "../fence_x"} {
		if path, err := Find(t.Context(), new(secret.Reader), method, []string{"/"}); !errors.Is(err, ErrNoExecutable) {
			t.Errorf("%q is %q, %v", method, path, err)
		}
	}
	if path, err := Find(t.Context(), new(secret.Reader), "sh", []string{"/nowhere", "/bin"}); err != nil || path != "/bin/sh" {
		t.Errorf("sh is %q, %v", path, err)
	}
}

// A folder that doesn't answer ends the look: what is in the next one may be another program than the one that was meant.
func TestFind_InAFolderThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		files := &secret.Reader{Stat: func(path string) (fs.FileInfo, error) {
			if strings.HasPrefix(path, "/hung/") {
				<-never
			}
			return os.Stat(path)
		}}
		start := time.Now()
		path, err := Find(t.Context(), files, "sh", []string{"/hung", "/bin"})
		if !errors.Is(err, secret.ErrNotInTime) || !strings.Contains(err.Error(), "look at /hung/sh: ") || !strings.Contains(err.Error(), "it did not answer within 2s") {
			t.Errorf("got %q, %v", path, err)
		}
		if took := time.Since(start); took != lookLimit {
			t.Errorf("it took %s", took)
		}
		close(never)
	})
}

func FuzzParse(f *testing.F) {
	f.Add(described)
	f.Add("<resource-agent")
	f.Fuzz(func(_ *testing.T, text string) {
		if m, err := Parse(text); err == nil {
			m.Unknown("adress")
		}
	})
}
