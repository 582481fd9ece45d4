"""Who the database thinks we are (`app.uid()`), and the gate of sign-in.

The gate's functions belong to `carehelp_gate`, a role that nobody logs in as, and run with its
rights: row level security lets it see what looking somebody up needs, and a caller sees only what a
function returns. They are made in its name, so that they work where the owner is no superuser.
"""

from django.db import migrations

UID = """
CREATE OR REPLACE FUNCTION app.uid() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = '' AS $$
    SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;
"""

FUNCTIONS = """
SET LOCAL ROLE carehelp_gate;

CREATE OR REPLACE FUNCTION app.fingerprint(password text, revoked_before timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(sha256(convert_to(
        concat_ws(' ', password, extract(epoch FROM revoked_before)), 'UTF8')), 'hex')
$$;

CREATE OR REPLACE FUNCTION app.account_by_email(address text)
RETURNS TABLE (user_id uuid, email text, full_name text, is_active boolean, is_staff boolean,
    is_superuser boolean, must_change_password boolean, revoked_before timestamptz,
    fingerprint text, password text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, app, public, pg_temp AS $$
    SELECT u.id, u.email, u.full_name, c.is_active, c.is_staff, c.is_superuser,
        c.must_change_password, c.revoked_before,
        app.fingerprint(c.password, c.revoked_before),
        c.password
    FROM users AS u JOIN credentials AS c ON c.user_id = u.id
    WHERE u.email = address
$$;

CREATE OR REPLACE FUNCTION app.account(wanted uuid)
RETURNS TABLE (user_id uuid, email text, full_name text, is_active boolean, is_staff boolean,
    is_superuser boolean, must_change_password boolean, revoked_before timestamptz,
    fingerprint text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, app, public, pg_temp AS $$
    SELECT u.id, u.email, u.full_name, c.is_active, c.is_staff, c.is_superuser,
        c.must_change_password, c.revoked_before,
        app.fingerprint(c.password, c.revoked_before)
    FROM users AS u JOIN credentials AS c ON c.user_id = u.id
    WHERE u.id = wanted
$$;

CREATE OR REPLACE FUNCTION app.refresh_token_owner(wanted bytea) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, app, public, pg_temp AS $$
    SELECT user_id FROM refresh_tokens WHERE digest = wanted
$$;

CREATE OR REPLACE FUNCTION app.redeem_ticket(wanted bytea) RETURNS uuid
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, app, public, pg_temp AS $$
    DELETE FROM socket_tickets WHERE digest = wanted AND expires_at > now() RETURNING user_id
$$;

CREATE OR REPLACE FUNCTION app.note_sign_in(who uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, app, public, pg_temp AS $$
    UPDATE credentials SET last_login = now() WHERE user_id = who
$$;

CREATE OR REPLACE FUNCTION app.upgrade_guest(address text, hash text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, app, public, pg_temp AS $$
BEGIN
    UPDATE users SET email = address, updated_at = now()
        WHERE id = app.uid() AND email IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE credentials SET password = hash WHERE user_id = app.uid() AND password IS NULL;
    RETURN FOUND;
END
$$;

CREATE OR REPLACE FUNCTION app.sign_out_everywhere() RETURNS timestamptz
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, app, public, pg_temp AS $$
    UPDATE credentials SET revoked_before = clock_timestamp() WHERE user_id = app.uid()
    RETURNING revoked_before
$$;

CREATE OR REPLACE FUNCTION app.set_own_password(hash text) RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, app, public, pg_temp AS $$
    UPDATE credentials SET password = hash, must_change_password = false
    WHERE user_id = app.uid() AND is_staff
    RETURNING app.fingerprint(password, revoked_before)
$$;

CREATE OR REPLACE FUNCTION app.make_clinician(who uuid, address text, name text, hash text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, app, public, pg_temp AS $$
BEGIN
    INSERT INTO users (id, email, full_name, preferred_language, phone, region, save_data,
        created_at, updated_at)
    VALUES (who, address, name, 'fr', '', '', false, now(), now())
    ON CONFLICT (email) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO credentials (user_id, password, is_active, is_staff, is_superuser,
        must_change_password)
    VALUES (who, hash, true, true, false, true);
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION app.first_clinician() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, app, public, pg_temp AS $$
    SELECT u.email FROM users AS u JOIN credentials AS c ON c.user_id = u.id
    WHERE c.is_staff AND c.is_active ORDER BY u.created_at LIMIT 1
$$;

REVOKE ALL ON FUNCTION app.account_by_email(text), app.account(uuid),
    app.refresh_token_owner(bytea), app.redeem_ticket(bytea), app.note_sign_in(uuid),
    app.upgrade_guest(text, text), app.sign_out_everywhere(), app.set_own_password(text),
    app.make_clinician(uuid, text, text, text), app.first_clinician(),
    app.fingerprint(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.account_by_email(text), app.account(uuid), app.note_sign_in(uuid)
    TO carehelp_app, carehelp_desk;
GRANT EXECUTE ON FUNCTION app.refresh_token_owner(bytea), app.redeem_ticket(bytea)
    TO carehelp_app;
GRANT EXECUTE ON FUNCTION app.upgrade_guest(text, text), app.sign_out_everywhere()
    TO authenticated;
GRANT EXECUTE ON FUNCTION app.set_own_password(text) TO clinician;
DO $$ BEGIN
    EXECUTE format('GRANT EXECUTE ON FUNCTION app.make_clinician(uuid, text, text, text), '
        'app.first_clinician() TO %I', session_user);
END $$;

RESET ROLE;
"""

DROP = """
SET LOCAL ROLE carehelp_gate;
DROP FUNCTION app.account_by_email(text), app.account(uuid), app.refresh_token_owner(bytea),
    app.redeem_ticket(bytea), app.note_sign_in(uuid), app.upgrade_guest(text, text),
    app.sign_out_everywhere(), app.set_own_password(text),
    app.make_clinician(uuid, text, text, text), app.first_clinician(),
    app.fingerprint(text, timestamptz);
RESET ROLE;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [
        migrations.RunSQL(UID, "DROP FUNCTION app.uid()"),
        migrations.RunSQL(FUNCTIONS, DROP),
    ]
