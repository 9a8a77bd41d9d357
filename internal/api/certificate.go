package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// loadCertificate reads the pair of the document, or the self-signed one in
// dir, which it makes when there is none.
func loadCertificate(certFile, keyFile, dir, name, listen string) (tls.Certificate, error) {
	if certFile != "" || keyFile != "" {
		c, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return c, fmt.Errorf("load the API's certificate %s and key %s: %w", certFile, keyFile, err)
		}
		return c, nil
	}
	// Both are one file, so that no crash can leave a key without its
	// certificate.
	file := filepath.Join(dir, "api.pem")
	pair, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if pair, err = selfSigned(name, addresses(listen), time.Now()); err != nil {
			return tls.Certificate{}, fmt.Errorf("make a certificate for the API: %w", err)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return tls.Certificate{}, fmt.Errorf("make a directory for the API's certificate: %w", err)
		}
		err = writeDurably(file, pair)
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("keep the API's certificate in %s: %w", file, err)
	}
	c, err := tls.X509KeyPair(pair, pair)
	if err != nil {
		return c, fmt.Errorf("read the API's certificate in %s: %w; remove the file to have a new one made", file, err)
	}
	return c, nil
}

// writeDurably replaces file, readable by its owner alone.
func writeDurably(file string, data []byte) error {
	if err := renameio.WriteFile(file, data, 0o600, renameio.IgnoreUmask()); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// selfSigned makes a key and a certificate for this host, both PEM. Clients
// trust it by its fingerprint, so it names little and lives long.
func selfSigned(name string, ips []net.IP, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	t := x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name, Organization: []string{"ESOS"}},
		NotBefore:             now.Add(-24 * time.Hour), // clocks differ
		NotAfter:              now.AddDate(20, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{name, "localhost"},
		IPAddresses:           ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, &t, &t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...), nil
}

// addresses are those that a certificate names, for clients that were given
// the certificate itself: where the API listens, or all of this machine.
func addresses(listen string) []net.IP {
	if host, _, err := net.SplitHostPort(listen); err == nil {
		if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
			return []net.IP{ip}
		}
	}
	ips := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return ips // it serves all the same: clients pin it
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			ips = append(ips, n.IP)
		}
	}
	return ips
}

// Fingerprint is how people compare certificates: the SHA-256 of its DER form.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:])
}
