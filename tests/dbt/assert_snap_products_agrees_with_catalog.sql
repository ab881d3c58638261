-- The current version of every product in the history is what the catalog says of it today. A row
-- here is a product that says otherwise, is missing, or left the catalog without a version that
-- says so: an attribute is not among the snapshot's check_cols, so its changes open no version.
-- Correct snapshots/snap_products.sql; the history that was missed cannot be made up for.
with in_catalog as (

    select
        product_id,
        manufacturer_id,
        department,
        brand_type,
        product_category,
        product_type,
        package_size
    from {{ ref('int_shared__products_unioned') }}

),

current_versions as (

    select
        product_id,
        manufacturer_id,
        department,
        brand_type,
        product_category,
        product_type,
        package_size
    from {{ ref('snap_products') }}
    where
        dbt_valid_to is null
        and dbt_is_deleted = 'False'
        and {{ is_of_a_built_system() }}

),

not_in_history as (

    select * from in_catalog
    except
    select * from current_versions

),

no_longer_in_catalog as (

    select * from current_versions
    except
    select * from in_catalog

)

select * from not_in_history
union all
select * from no_longer_in_catalog
