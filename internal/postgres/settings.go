package postgres

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// ReadSettings makes of a group's connection settings how address (host:port) is reached: all but the password and the session's parameters. The
// TLS files come from files, within ctx; what sslmode means is left to the library, which knows libpq's rules. Errors are ErrUnusableSettings.
func ReadSettings(ctx context.Context, files *secret.Reader, address string, connect failover.Connect) (*pgx.ConnConfig, error) {
	info, err := settings(address, connect)
	if err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(info.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnusableSettings, err)
	}
	channels := []*tls.Config{config.TLSConfig}
	for _, fallback := range config.Fallbacks {
		channels = append(channels, fallback.TLSConfig)
	}
	for _, channel := range channels {
		if channel == nil {
			continue // one without TLS
		}
		if err := addFiles(ctx, files, channel, connect); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnusableSettings, err)
		}
	}
	return config, nil
}

// settings name each setting that pgx would else take from the process's environment or home directory, but the one of ForgetService. The TLS
// files are left out: pgx reads them without a bound.
func settings(address string, connect failover.Connect) (ConnInfo, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: split address %q into host and port: %w", ErrUnusableSettings, address, err)
	}
	if host == "" || strings.Contains(host, ",") {
		return nil, fmt.Errorf("%w: address %q must name one host", ErrUnusableSettings, address)
	}
	return ConnInfo{
		{"host", host},
		{"port", port},
		{"user", connect.User},
		{"database", connect.Database},
		{"password", ""},
		{"passfile", ""},
		{"sslmode", sslMode(connect)},
		{"sslrootcert", ""},
		{"sslcert", ""},
		{"sslkey", ""},
		{"sslcertmode", "allow"},
		{"sslpassword", ""},
		{"sslsni", "1"},
		{"sslnegotiation", ""},
		{"channel_binding", "prefer"},
		{"require_auth", ""},
		{"min_protocol_version", ""},
		{"max_protocol_version", ""},
		{"target_session_attrs", "any"},
		{"connect_timeout", "0"},
	}, nil
}

// sslMode is what libpq makes of sslmode, which depends on whether there is a CA file.
func sslMode(connect failover.Connect) string {
	switch {
	case connect.SSLMode == "":
		return "prefer"
	case connect.SSLMode == "require" && connect.SSLRoot != "":
		return "verify-ca"
	}
	return connect.SSLMode
}

// addFiles gives a channel the certificates that the settings name.
func addFiles(ctx context.Context, files *secret.Reader, channel *tls.Config, connect failover.Connect) error {
	if connect.SSLRoot != "" {
		var err error
		if channel.RootCAs, err = files.Authorities(ctx, connect.SSLRoot); err != nil {
			return fmt.Errorf("sslrootcert: %w", err)
		}
	}
	if connect.SSLCert == "" && connect.SSLKey == "" {
		return nil
	}
	certificate, err := files.KeyPair(ctx, connect.SSLCert, connect.SSLKey)
	if err != nil {
		return fmt.Errorf("sslcert and sslkey: %w", err)
	}
	channel.Certificates = []tls.Certificate{certificate}
	return nil
}
