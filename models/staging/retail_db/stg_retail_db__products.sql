with source as (

    select * from {{ source('retail_db', 'products') }}

),

renamed as (

    select
        -- ids
        product_id,
        manufacturer_id,

        -- strings
        department,
        brand as brand_type,
        product_category,
        product_type,
        package_size,
        _dlt_load_id as load_id

    from source

)

select * from renamed
