package keys

import (
	_ "embed"
	"strings"
	"testing"
)

//go:embed testdata/fence_parameters.txt
var fenceParameters string

// TestScenario55_ParametersOfFenceAgents: of all that the agents can be told, exactly the secrets count.
func TestScenario55_ParametersOfFenceAgents(t *testing.T) {
	secrets := 0
	for line := range strings.Lines(fenceParameters) {
		name, marked := strings.CutPrefix(strings.TrimSpace(line), "+ ")
		if strings.HasPrefix(name, "#") {
			continue
		}
		if marked {
			secrets++
		}
		if HoldSecret(name) != marked {
			t.Errorf("%s: HoldSecret says %v", name, !marked)
		}
	}
	if secrets != 9 {
		t.Errorf("%d secrets in the list", secrets)
	}
}

func TestScenario55_HoldSecret(t *testing.T) {
	for _, name := range []string{
		"password", "passwd", "Password", "pass", "pwd", "passphrase", "community", "community_name", "snmp_priv_passwd", "snmp-priv-passwd", "secret_key",
		"access_key", "token", "apikey", "api-key", "apiKey", "clientSecret", "hexadecimal_kg", "private_key", "credentials", "auth_key",
		"pasword", "passwrd", "snmp_priv_pasword", "paswd", "apssword", "passsword",
	} {
		if !HoldSecret(name) {
			t.Errorf("%s holds a secret", name)
		}
	}
	for _, name := range []string{
		"", "ip", "plug", "username", "passwd_script", "password_script", "snmp_priv_passwd_script", "password_file", "token_file", "private_key_path",
		"identity_file", "key", "key_value", "tlskey", "ssh", "auth", "auth_url", "token_url", "secret_name", "password_timeout", "power_wait", "use_cookies",
		"passive", "ssh_key", "passwordFile", "password-prompt",
	} {
		if HoldSecret(name) {
			t.Errorf("%s does not hold a secret", name)
		}
	}
}

func TestScenario55_HeaderHoldsSecret(t *testing.T) {
	for _, name := range []string{
		"Authorization", "proxy-authorization", "Cookie", "X-API-Key", "x-api-key", "X-Auth-Token", "X-Vault-Token", "X-Client-Secret", "Api-Key", "X-Auth-Key",
	} {
		if !HeaderHoldsSecret(name) {
			t.Errorf("%s holds a secret", name)
		}
	}
	for _, name := range []string{"", "Host", "Accept", "User-Agent", "X-Request-Id", "Cache-Control", "Authority", "X-Forwarded-For", "Idempotency-Key"} {
		if HeaderHoldsSecret(name) {
			t.Errorf("%s does not hold a secret", name)
		}
	}
}

func TestScenario55_PasswordInURL(t *testing.T) {
	for _, value := range []string{"https://fence:hunter2@bmc", "see http://a:b@c/d", "socks5://:hunter2@proxy:1080"} {
		if !PasswordInURL(value) {
			t.Errorf("%s holds a password", value)
		}
	}
	for _, value := range []string{"", "https://bmc:443/x", "https://fence@bmc", "http://bmc/a:b@c", "user:x@host", "tcp://[::1]:99", "http://x:1/?a=b@c"} {
		if PasswordInURL(value) {
			t.Errorf("%s holds no password", value)
		}
	}
}
